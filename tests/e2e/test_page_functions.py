"""The page's decisions, function by function, in the browser that they are made for."""

import os

from tests.support.browser import browse
from tests.support.ui import Scene, find_url

MODULES = (
    "ansi",
    "fold",
    "follow",
    "job-view",
    "lanes",
    "lines",
    "log-panel",
    "route",
    "sse",
    "status-bar",
    "tabs",
    "words",
)
JOB = """({id: "a", uid: "1", phase: "Pending", reason: "Queued", message: "waits", queue: "etl",
    created: 1000, startedAt: null, finishedAt: null, finished: false, labels: {team: "x"},
    image: "busybox", path: "/job", waiting: null, exitCode: null, restarts: 0})"""
AT = "1970-01-01T00:16:50Z"


FOLDED = """(messages) => {
    const jobs = fold.makeJobs();
    const told = messages.map(([type, uid, phase]) =>
        fold.fold(jobs, {type, ...(uid && {job: job({uid, phase})})}));
    return {shown: [...jobs.known.values()].map((each) => each.uid + each.phase), told,
        isWhole: jobs.isWhole};
}"""
SNAPSHOT = "['added', 'a', 'P'], ['added', 'b', 'P'], ['synced']"
RUNS = "(text) => ansi.paint(text).runs.map((run) => [run.text, run.style])"
LAID = """(items) => {
    const {lanes: rows, count} = lanes.assignLanes(items);
    return [items.map((item) => rows.get(item.uid)), count];
}"""

CASES = {
    "a snapshot is shown when it is whole": (
        f"({FOLDED})([{SNAPSHOT}])",
        {"shown": ["aP", "bP"], "told": [False, False, True], "isWhole": True},
    ),
    "what is not whole is not shown": (
        f"({FOLDED})([['added', 'a', 'P']])",
        {"shown": [], "told": [False], "isWhole": False},
    ),
    "changes and removals are folded": (
        f"({FOLDED})([{SNAPSHOT}, ['changed', 'a', 'R'], ['removed', 'b'], ['bookmark']]).shown",
        ["aR"],
    ),
    "after a reset what was known stays until the snapshot is whole": (
        f"({FOLDED})([{SNAPSHOT}, ['reset'], ['added', 'c', 'P']]).shown",
        ["aP", "bP"],
    ),
    "a snapshot after a reset takes its place": (
        f"({FOLDED})([{SNAPSHOT}, ['reset'], ['added', 'c', 'P'], ['synced']]).shown",
        ["cP"],
    ),
    "a snapshot that broke off leaves no ghost": (
        """(() => { const jobs = fold.makeJobs();
            fold.fold(jobs, {type: 'added', job: job({uid: 'ghost'})});
            fold.restart(jobs);
            fold.fold(jobs, {type: 'added', job: job({uid: 'a'})});
            fold.fold(jobs, {type: 'synced'});
            return [...jobs.known.keys()]; })()""",
        ["a"],
    ),
    "a stream that begins anew leaves no ghost of the one before": (
        """(() => { const jobs = fold.makeJobs();
            fold.fold(jobs, {type: 'added', job: job({uid: 'ghost'})});
            fold.fold(jobs, {type: 'synced'});
            fold.restart(jobs);
            fold.fold(jobs, {type: 'added', job: job({uid: 'a'})});
            const before = [...jobs.known.keys()];
            fold.fold(jobs, {type: 'synced'});
            return [before, [...jobs.known.keys()]]; })()""",
        [["ghost"], ["a"]],
    ),
    "a list has the newest first, and counts of all phases": (
        """(() => { const all = new Map(['Failed', 'Running', 'Running'].map((phase, n) =>
            [String(n), job({uid: String(n), phase, queue: n ? 'etl' : 'x'})]));
            const {shown, counts, total, matching} = fold.choose(all, {phase: 'Running'}, 1);
            return [shown.map((each) => each.uid), counts, total, matching,
                fold.choose(all, {queue: 'x'}, 9).total]; })()""",
        [["2"], {"Failed": 1, "Running": 2}, 3, 2, 1],
    ),
    "times that only a list knows are added to the same phase alone": (
        """(() => { const jobs = fold.makeJobs();
            jobs.known.set('1', job({phase: 'Running'}));
            jobs.known.set('2', job({uid: '2', phase: 'Succeeded'}));
            const found = ['1', '2'].map((uid) =>
                job({uid, phase: 'Running', startedAt: 'x', restarts: 2}));
            return [fold.addTimes(jobs, found), ['1', '2'].map((uid) => {
                const {startedAt, restarts} = jobs.known.get(uid);
                return [startedAt, restarts]; })]; })()""",
        [True, [["x", 2], [None, 0]]],
    ),
    "events come in any pieces": (
        r"""(() => { const reader = new sse.EventReader();
            const text = 'id: 1\ndata: {"a": 1}\n\n:\n\ndata: b\n\nid: 3\ndata: c\n\nid: 4\nda';
            return [...text].flatMap((character) => reader.take(character)); })()""",
        [
            {"id": "1", "data": '{"a": 1}'},
            {"id": None, "data": "b"},
            {"id": "3", "data": "c"},
        ],
    ),
    "colours and attributes": (
        rf"({RUNS})('a\x1b[1;31mb\x1b[0m\x1b[38;5;196mc\x1b[48;2;1;2;3md\x1b[39;49;97me')",
        [
            ["a", {}],
            ["b", {"bold": True, "fg": 1}],
            ["c", {"fg": [255, 0, 0]}],
            ["d", {"fg": [255, 0, 0], "bg": [1, 2, 3]}],
            ["e", {"fg": 15}],
        ],
    ),
    "a colour that is none is no colour": (
        rf"({RUNS})('\x1b[38;5;999ma\x1b[38;2;1;2mb\x1b[38;5mc')",
        [["a", {}], ["b", {}], ["c", {}]],
    ),
    "other sequences and control characters are left out": (
        (
            rf"({RUNS})('a\x1b[2K\x1b[1A\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\x00\x07d\x1b(B\x9b')"
            ".map((run) => run[0]).join('|')"
        ),
        "a|b|c|d",
    ),
    "marks that reorder are spelt out, tabs stay": (
        rf"({RUNS})('a\u202eb\u2066\tc')",
        [["a\\u202eb\\u2066\tc", {}]],
    ),
    "a style goes on in the next line": (
        r"""(() => { const painter = new lines.LinePainter();
            painter.paint({stream: 'stdout', line: '\x1b[32mgreen'});
            painter.skip({stream: 'stdout', line: 'and \x1b[1mbold'});
            const next = painter.paint({stream: 'stdout', line: 'on'});
            return [next.runs[0].style, painter.paint({stream: 'stderr', line: 'x'}).runs[0].style];
        })()""",
        [{"fg": 2, "bold": True}, {}],
    ),
    "a carriage return replaces what stood before": (
        r"""['10%\r50%\r100%', 'end\r', 'a\r\r', '\r', 'plain', 'x\ry\r']
            .map((line) => lines.overwrite(line).text)""",
        ["100%", "end", "a", "", "plain", "y"],
    ),
    "a style before a carriage return holds": (
        r"new lines.LinePainter().paint({stream: 'stdout', line: '\x1b[31mx\ry'}).runs",
        [{"text": "y", "style": {"fg": 1}}],
    ),
    "4,096 characters are shown of a line, none halved": (
        """(() => { const painter = new lines.LinePainter();
            const painted = painter.paint({stream: 'stdout', line: 'x'.repeat(1e6)});
            return [painted.runs[0].text.length, painted.rest,
                lines.shorten('x'.repeat(4095) + '\U0001f600y').length]; })()""",
        [4096, 995_904, 4095],
    ),
    "where lines may be missing is told": (
        """[true, undefined].map((lost) => new lines.LinePainter()
            .paint({stream: 'stdout', line: '', lost}).isLost)""",
        [True, False],
    ),
    "jobs that overlap have rows of their own": (
        f"""({LAID})([{{uid: 'a', begin: 0, end: 10}}, {{uid: 'b', begin: 5, end: 8}},
            {{uid: 'c', begin: 8, end: 9}}, {{uid: 'd', begin: 10, end: 11}}])""",
        [[0, 1, 1, 0], 2],
    ),
    "a row is kept from layout to layout": (
        """[...lanes.assignLanes([{uid: 'a', begin: 3, end: 9}, {uid: 'b', begin: 1, end: 2}],
            new Map([['a', 1]])).lanes]""",
        [["b", 0], ["a", 1]],
    ),
    "bars are cut to the hour, and thin ones become one": (
        """lanes.layOut([{uid: 'a', begin: -50, end: 50, phase: 'Failed'},
            {uid: 'b', begin: 50.1, end: 50.2, phase: 'Succeeded'},
            {uid: 'c', begin: 50.3, end: 50.4, phase: 'Succeeded'},
            {uid: 'd', begin: -9, end: -1, phase: 'Succeeded'}],
            new Map([['a', 0], ['b', 0], ['c', 0], ['d', 0]]), 0, 100, 0.01)
            .map((bar) => [bar.left, Math.round(1000 * bar.width), bar.items.length])""",
        [[0, 500, 1], [0.501, 3, 2]],
    ),
    "ticks are whole multiples": (
        "lanes.findTicks(1000, 4600, 6)",
        [1200, 1800, 2400, 3000, 3600, 4200],
    ),
    "time in words": (
        "[0.04, 9.97, 59.9, 60, 3700, 90000, -3].map(words.formatSpan)",
        ["0.0 s", "9 s", "59 s", "1 min", "1 h 1 min", "1 d 1 h", "0.0 s"],
    ),
    "places in words": (
        "[1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(words.formatPlace)",
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"],
    ),
    "a wait in words": (
        "words.explain(job(), {reason: 'NoSlot', message: 'no', position: 2, until: null})",
        "no slot is free, 2nd in etl",
    ),
    "a wait without the controller's word": (
        "words.explain(job())",
        "waits for a slot or for a controller",
    ),
    "a wait for a node in words": (
        """[["Scheduling", "no suitable node"], ["NodeLost", "node b was lost"], ["Stopping", "x"]]
            .map(([reason, message]) => words.explain(job({reason, message,
                waiting: {reason, message, position: null, until: null}})))""",
        ["no suitable node", "node b was lost", "is being stopped"],
    ),
    "an end in words": (
        """[["Failed", "Error", "exited 3"],
            ["Failed", "OOMKilled", "ran out of memory, exited 137"],
            ["Running", "Stopping", "cancelled (a test), is to be stopped"],
            ["Running", "Restarting", "exited 1, the engine restarts it"],
            ["Failed", "DeadlineExceeded", "ran for more than 5 s, exited 137"],
            ["Succeeded", null, ""]]
            .map(([phase, reason, message]) => words.explain(job({phase, reason, message})))""",
        [
            "exited 3",
            "ran out of memory, exited 137",
            "is being stopped: cancelled (a test)",
            "is being restarted: exited 1",
            "ran for more than 5 s, exited 137",
            "",
        ],
    ),
    "the times of a job": (
        f"""[job(), job({{phase: 'Running', startedAt: '{AT}'}}),
            job({{phase: 'Failed', finished: true, startedAt: '{AT}',
                finishedAt: '1970-01-01T00:17:00Z'}}),
            job({{phase: 'Cancelled', finished: true, finishedAt: '{AT}'}})]
            .map((each) => words.tellTime(each, 1015))""",
        ["waits 15 s", "runs 5 s", "ran 10 s", "waited 10 s"],
    ),
    "of a job that was run again the last run is told": (
        f"""[{{}}, {{restarts: 1}}, {{restarts: 2, reason: 'Paused'}},
            {{restarts: 1, reason: 'Restarting', finishedAt: '1970-01-01T00:17:00Z'}},
            {{restarts: 1, phase: 'Failed', finished: true, finishedAt: '1970-01-01T00:17:00Z'}}]
            .map((each) => words.tellTime(
                job({{phase: 'Running', startedAt: '{AT}', ...each}}), 1015))""",
        [
            "runs 5 s",
            "2nd run, runs 5 s",
            "3rd run, runs 5 s",
            "2nd run comes next",
            "2nd run, ran 10 s",
        ],
    ),
    "what an inspect has told of runs holds after a list": (
        """['Running', 'Failed'].map((phase) => jobview.keepTimes(job({phase}),
            job({phase: 'Running', startedAt: 'x', restarts: 2})))
            .map((each) => [each.startedAt, each.restarts])""",
        [["x", 2], [None, 0]],
    ),
    "an answer that is older than the stream's news is asked for again": (
        """(async () => {
            const [own, answers] = [globalThis.fetch, []];
            globalThis.fetch = (path) => new Promise((resolve) => {
                if (!path.includes('/log')) answers.push((change) => resolve(
                    {ok: true, headers: new Headers(), json: async () => job(change)}));
            });
            const page = {draw() {}, waitOf: () => null, onRefusal: () => false,
                jobs: {known: new Map()}, tabs: {mayStay: () => true}};
            const view = new jobview.JobView(page, {view: 'job', uid: '1'});
            const answer = async (change) => {
                answers.shift()?.(change);
                await new Promise((done) => setTimeout(done));
                view.draw();
                return document.title;
            };
            view.onMessage({type: 'changed', job: job({phase: 'Succeeded', finished: true})});
            const titles = [await answer({phase: 'Running'}),
                await answer({phase: 'Succeeded', finished: true})];
            view.close();
            globalThis.fetch = own;
            return [titles, answers.length]; })()""",
        [["Succeeded: a", "Succeeded: a"], 0],
    ),
    "a line that may go on is shown, and told anew by the next look": (
        r"""(async () => {
            const [own, asked] = [globalThis.fetch, []];
            const item = (line, more) => JSON.stringify({t: '', stream: 'stdout', line, ...more});
            const end = (finished) => `data: {"end": {"finished": ${finished}}}\n\n`;
            const looks = [
                `id: 1\ndata: ${item('one')}\n\ndata: ${item('tw', {open: true})}\n\n`,
                `data: ${item('two', {open: true})}\n\n`,
                `id: 2\ndata: ${item('two!')}\n\n`];
            globalThis.fetch = async (path, {headers}) => {
                asked.push(headers['Last-Event-ID'] ?? '');
                return new Response(looks[asked.length - 1] + end(asked.length === 3));
            };
            const page = {tabs: {mayStay: () => false}};
            const panel = new logpanel.LogPanel(page, job(), false);
            const shown = [];
            while (shown.length < 3) {
                await new Promise((done) => setTimeout(done, 10));
                const texts = [...panel.element.querySelectorAll('.line .text')]
                    .map((text) => text.textContent).join();
                if (texts && texts !== shown.at(-1)) shown.push(texts);
            }
            panel.close();
            globalThis.fetch = own;
            return [shown, asked]; })()""",
        [["one,tw", "one,two", "one,two!"], ["", "1", "1"]],
    ),
    "a field that says nothing is left out": (
        """[['expiresAt', {expiresAt: null}, false], ['expiresAt', {expiresAt: null}, true],
            ['expiresAt', {expiresAt: 'x'}, true], ['message', {}, false],
            ['message', {reason: 'StartError'}, false]]
            .map(([name, change, isGone]) => jobview.isTold(name, job(change), isGone))""",
        [True, False, True, False, True],
    ),
    "a text filter asks for every word": (
        "['', 'bUsy team=x', 'busy nope'].map((query) => words.matches(job(), query))",
        [True, True, False],
    ),
    "an address and back": (
        """[route.readRoute('#/jobs?phase=Failed&q=a+b'), route.readRoute('#/job/a%2Fb'),
            route.readRoute('#/nope'), route.readRoute('#/job/%')].map(
            (each) => [each.view, each.uid, each.query, route.formatRoute(each)])""",
        [
            ["jobs", "", "a b", "#/jobs?phase=Failed&q=a+b"],
            ["job", "a/b", "", "#/job/a%2Fb"],
            ["jobs", "", "", "#/jobs"],
            ["job", "%", "", "#/job/%25"],
        ],
    ),
    "attempts are ever further apart, up to ten seconds": (
        "[1, 2, 3, 4, 5, 6, 60].map((n) => follow.findDelay(n)).concat(follow.findDelay(1, 7))",
        [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 7000],
    ),
    "the first two tabs hold connections": (
        """(() => { const others = [{id: 'a', at: 9000}, {id: 'b', at: 9000}, {id: 'd', at: 9000}];
            return ['0', 'c', 'e'].map((own) => tabs.mayStay(own, others, 9500))
                .concat(tabs.mayStay('c', others, 17000)); })()""",
        [True, False, False, True],
    ),
    "what is old is not called good": (
        """(() => { const value = {engine: {up: true},
                controller: {role: 'active', slotsUsed: 1, slotsAllowed: null}};
            const tell = (at) => Object.values(statusbar.describePlan({value, at: 100}, at))
                .map((part) => [part.state, part.detail]);
            return [tell(101), tell(130)]; })()""",
        [
            [["good", ""], ["good", "1 of any number of slots used"]],
            [["waits", "as of 30 s ago"], ["waits", "as of 30 s ago"]],
        ],
    ),
    "a stream that is away says of when the page is": (
        """['live', 'away'].map((state) => {
            const stream = {state, heardAt: 90, since: 95, error: null};
            const {word, detail} = statusbar.describeStream(stream, 100);
            return `${word}, ${detail}`; })""",
        ["Live, as of 10 s ago", "Not live, as of 10 s ago"],
    ),
}


async def test_every_function_of_the_page() -> None:
    """All in one browser: to start another for each would take longest."""
    async with Scene().serve() as api, browse(os.getpid()) as page:
        # a page of the same origin on which nothing runs
        await page.send("Page.navigate", url=find_url(api, "/ui/style.css"))
        await page.wait_for("document.readyState === 'complete'")
        for name in MODULES:
            key = name.replace("-", "")
            load = f"import('/ui/{name}.js').then((all) => {{ globalThis.{key} = all }})"
            await page.evaluate(load)
        await page.evaluate(f"globalThis.job = (change) => ({{...{JOB}, ...change}})")
        found = {case: await page.evaluate(expression) for case, (expression, _) in CASES.items()}
    assert found == {case: expected for case, (_, expected) in CASES.items()}
