"""``jobs_total`` beside the engine's own history: pure functions over scrapes and accounts.

A lifetime of the API begins when its informer is first filled, somewhere between the sending of
its first list and the first scrape that tells of a whole reading. What the engine held then counts,
and what has happened since; what was created and gone before counts in no lifetime.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.accounts import Account, Span, draw_accounts
from tests.chaos.blindness import Blind, find_calm, find_slow
from tests.chaos.history import Entry
from tests.chaos.story import SECOND, Story

Key = tuple[str, str]
"""An action and the status of a ``die``; ``ANY`` for all of them; ``RUNNING`` is start less die."""

ANY = ("die", "of any status")
RUNNING = ("running", "")
_CALM = 3 * SECOND
"""So long may the API take to count what the engine shows, if nothing keeps it from seeing."""
_REPLAYED = 3 * SECOND
"""A new subscription tells of the last second or two again."""
_MOST_SUBJECTS = 4


@dataclass(frozen=True, slots=True)
class Scrape:
    """One reading of the counts, and what the API must and can know by then.

    ``filled`` is when its informer was first filled. Whatever the engine showed by ``known`` must
    be counted; what happened after ``at`` cannot be.
    """

    id: str
    lifetime: int
    moment: str
    at: int
    filled: Span
    known: int
    counts: Mapping[Key, int]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How often something must and may have been counted."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A count that no history of the engine allows; ``subjects`` are the jobs it may be about."""

    scrape: Scrape
    key: Key
    count: int
    bounds: Bounds
    subjects: tuple[str, ...]

    @property
    def text(self) -> str:
        """What is wrong, in a sentence."""
        least, most = self.bounds.least, self.bounds.most
        right = str(least) if least == most else f"from {least} to {most}"
        what = " ".join(filter(None, self.key))
        return (
            f"jobs_total {what} was {self.count} in a {self.scrape.moment} scrape of the API's"
            f" lifetime {self.scrape.lifetime}, the engine's history says {right}"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """One scrape judged; ``exact`` if each count of jobs without restarts had one right value."""

    scrape: Scrape
    exact: bool
    differences: tuple[Difference, ...]


def compare_counts(story: Story) -> list[Comparison]:
    """Judge every scrape of a run."""
    accounts = draw_accounts(story)
    scrapes = find_scrapes(story)
    before: dict[str, int] = {}
    for one, next_one in pairwise(scrapes):
        if one.lifetime == next_one.lifetime:
            before[next_one.id] = one.known
    return [
        compare(scrape, accounts, since=before.get(scrape.id, scrape.filled.begin))
        for scrape in scrapes
    ]


def find_scrapes(story: Story) -> list[Scrape]:
    """Read the scrapes of a run, in order of time."""
    slow = find_slow(story)
    filled: dict[int, Span] = {}
    found = []
    for entry in story.of_kind("scrape"):
        lifetime = entry["lifetime"]
        span = filled.setdefault(lifetime, Span(entry["listed"], entry.at))
        found.append(
            Scrape(
                id=entry["id"],
                lifetime=lifetime,
                moment=entry["moment"],
                at=entry.at,
                filled=span,
                known=_find_known(entry, slow, span.begin),
                counts={_parse(key): count for key, count in entry["counts"].items()},
            )
        )
    return found


def _parse(text: str) -> Key:
    action, _, status = text.partition(" ")
    return action, status


def _find_known(entry: Entry, slow: list[Blind], listed: int) -> int:
    """Return up to which moment the API must know what the engine shows."""
    if entry["moment"] == "last":
        return int(entry["sent"])
    # what was shown before its first list was in that list
    return max(listed, find_calm(slow, entry["sent"], _CALM) - _CALM)


def compare(scrape: Scrape, accounts: Iterable[Account], *, since: int) -> Comparison:
    """Judge one scrape; of a difference, jobs with something new from ``since`` on are shown."""
    accounts = list(accounts)
    bounds = bound_counts(scrape, accounts)
    plain = bound_counts(scrape, [account for account in accounts if not account.again])
    counts = Counter(dict(scrape.counts))
    counts[ANY] = sum(count for (action, _), count in scrape.counts.items() if action == "die")
    counts[RUNNING] = counts["start", ""] - counts[ANY]
    differences = []
    for key in sorted(counts.keys() | bounds.keys()):
        bound = bounds.get(key, Bounds(0, 0))
        if not bound.least <= counts[key] <= bound.most:
            subjects = _find_subjects(scrape, accounts, key, since)
            differences.append(Difference(scrape, key, counts[key], bound, subjects))
    exact = all(bound.least == bound.most for bound in plain.values())
    return Comparison(scrape, exact, tuple(differences))


def bound_counts(scrape: Scrape, accounts: Iterable[Account]) -> dict[Key, Bounds]:
    """Return what ``scrape`` may show, by key; a key that is absent must not be counted."""
    least: Counter[Key] = Counter()
    most: Counter[Key] = Counter()
    unclear = 0
    for account in accounts:
        if not _may_count(scrape, account):
            continue
        for key, must, may in _list_counts(scrape, account):
            least[key] += must if _must_count(scrape, account) else 0
            most[key] += may
            if key == ANY and not account.codes:
                unclear += may
    for key in scrape.counts:
        if key[0] == "die":
            most[key] += unclear
    return {key: Bounds(least[key], most[key]) for key in most.keys() | least.keys()}


def _list_counts(scrape: Scrape, account: Account) -> Iterable[tuple[Key, int, int]]:
    """Yield each key with how often one job must and may be in it."""
    yield ("create", ""), *_weigh(scrape, account.created)
    starts, may_start = _weigh(scrape, account.started)
    dies, may_die = _weigh(scrape, account.died)
    yield ("start", ""), starts, may_start * account.runs
    if account.again:
        # what the engine restarts has ended in between, without its list ever showing it
        may_die = may_start
    yield ANY, dies, may_die * account.runs
    for code in account.codes:
        is_told = len(account.codes) == 1
        yield ("die", code), dies if is_told else 0, may_die * account.runs
    yield RUNNING, max(starts - may_die, 0), max(may_start - dies, 0)


def _weigh(scrape: Scrape, span: Span | None) -> tuple[int, int]:
    """Return how often a happening must and may be counted: 0 or 1."""
    if span is None:
        return 0, 0
    return int(span.end <= scrape.known), int(span.begin <= scrape.at)


def _may_count(scrape: Scrape, account: Account) -> bool:
    """Tell whether a job may be counted: it was there, or told of once more, in this lifetime."""
    if account.gone is None or account.gone.end >= scrape.filled.begin:
        return True
    return account.created.begin >= scrape.filled.begin - _REPLAYED


def _must_count(scrape: Scrape, account: Account) -> bool:
    """Tell whether a job must be counted: it was there when, or after, the informer was filled."""
    if account.hidden:
        return False
    return account.gone is None or account.gone.begin > scrape.filled.end


def _find_subjects(
    scrape: Scrape, accounts: Iterable[Account], key: Key, since: int
) -> tuple[str, ...]:
    """Return the jobs that a difference may be about: the newest of those with something new."""
    action, status = key
    fitting: list[tuple[int, str]] = []
    for account in accounts:
        span = {"create": account.created, "start": account.started}.get(action, account.died)
        if span is None or not _may_count(scrape, account):
            continue
        is_new = span.begin <= scrape.at and span.end >= since
        if is_new and (action != "die" or key == ANY or status in {*account.codes, "unknown"}):
            fitting.append((span.begin, account.id))
    newest = [container_id for _, container_id in sorted(fitting)[-_MOST_SUBJECTS:]]
    return (scrape.id, f"api-{scrape.lifetime}", *newest)
