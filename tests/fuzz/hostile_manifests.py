"""Manifests with the values that reviewers broke an engine, the API or the controller with."""

from typing import Any

from hypothesis import strategies as st

from tests.support.private_engine import IMAGE

Members = dict[str, Any]

HOSTILE_IMAGE = "fuzz:hostile"
"""An image that the run makes, with ``IMAGE_LABELS``."""
IMAGE_LABELS = {
    "exitCode": "\u00b2",
    "name": "somebody",
    "docker-job-dispatcher.namespace": "fuzz",
    "docker-job-dispatcher.name": "fuzz-job",
}

_NUMBERS = st.sampled_from(
    [
        *(0, -1, 1, 2, 5, 60, 61, 101, 999_999_999, 1_000_000, 10**9, 5 * 10**9, 1 << 31),
        *(1 << 53, (1 << 53) + 1, 1 << 63, 1 << 64, 10**400, 0.5, -0.0, 1.0, 2.0**53, 1e18, 1e300),
    ]
)
_SIZES = st.sampled_from(
    [
        *("0", "1", "-1", "", "k", "1k", "64k", "1m", "10M", "1 gb", "100g", "1e9", "0x10", "1.5m"),
        *("9" * 40, "2000000000", "20", "21", " 1", "1\n", "\u0663", "max", "infinity"),
    ]
)
_TAGS = st.sampled_from(
    [
        *('{{pad "x" 100000000000000 0}}', "{{range $i, $e := .ContainerEnv}}{{$e}}{{end}}"),
        *('{{printf "%1000000000d" 1}}', "{{.Name}}", "{{ .FullID }}", "{{.Name", "}}", "{{"),
        *("{{.Name}}" * 128, "{{json .}}", "{{define `a`}}{{template `a`}}{{end}}{{template `a`}}"),
        *("{{/* x */}}", "{{.ExtraAttributes nil}}", "plain", "x" * 5000, "a\nb", "\u202e{{.ID}}"),
    ]
)
_LOG_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "tag": _TAGS,
        "max-size": _SIZES,
        "max-file": _SIZES,
        "max-buffer-size": _SIZES,
        "mode": st.sampled_from(["blocking", "non-blocking", "Non-Blocking", ""]),
        "compress": st.sampled_from(["true", "false", "1", "t", "yes"]),
        "labels": st.sampled_from(["a,b", "x" * 2000, ""]),
        "env-regex": st.sampled_from(["^.*$", "((a{1000}){1000}){1000}", "(", "x" * 200]),
        "syslog-address": st.just("tcp://10.0.0.1:514"),
        "gelf-address": st.just("udp://10.0.0.1:1"),
        "awslogs-group": st.just("{{.Name}}"),
    },
)
_LOGS = st.fixed_dictionaries(
    {"Config": _LOG_OPTIONS},
    optional={
        "Type": st.sampled_from(
            ["", "json-file", "local", "none", "syslog", "journald", "gelf", "splunk", "fluentd"]
        )
    },
)
_HEALTH = st.fixed_dictionaries(
    {},
    optional={
        "Test": st.sampled_from([["NONE"], ["CMD", "true"], ["CMD-SHELL", "x" * 5000], [], [""]]),
        **dict.fromkeys(("Interval", "Timeout", "StartPeriod", "Retries"), _NUMBERS),
    },
)
_ULIMITS = st.lists(
    st.fixed_dictionaries(
        {
            "Name": st.sampled_from(["nofile", "rtprio", "nice", "rttime", "NICE", "core", ""]),
            "Soft": _NUMBERS,
            "Hard": _NUMBERS,
        }
    ),
    max_size=3,
)
_RESTARTS = st.fixed_dictionaries(
    {"Name": st.sampled_from(["no", "on-failure", "always", "unless-stopped", "On-Failure"])},
    optional={"MaximumRetryCount": _NUMBERS},
)
_NETWORKS = st.sampled_from(
    [
        *("host", "none", "bridge", "default", "container:x", "0f" * 32, "a", "12", "beef"),
        *("no-such-network", "HOST", "host ", "\u202ehost", "x" * 300, "ns:/proc/1/ns/net"),
    ]
)
_PATHS = st.sampled_from(
    [
        *("/proc/self/fd/8", "/proc", "proc/1", "/tmp/../proc", "/dev/fd/9", "/", "relative"),
        *("/run/docker/x", "/run/containerd", "/var/run/docker.sock", "/var/lib/docker/containers"),
        *("/run/systemd/private", "/etc/shadow", "//proc//self", "/a" * 3000, "\u2066/proc\u2069"),
    ]
)
_HIDDEN = st.sampled_from(
    ["\x1b[2J\x1b[31mred", "\u202egnp.exe", "\u2066x\u2069", "a\r\nb", "\x00", "\x7f", "\ud800"]
)
# by their numbers: Hypothesis shows what it samples from, and takes long over this
_LONG = st.integers(0, 4).map(
    lambda n: ("x" * 600, "x" * 5000, "x" * 200_000, "x" * 900_000, "\U0001f600" * 2000)[n]
)
_NAMES = st.one_of(
    st.sampled_from(
        [
            *(
                "0f" * 32,
                "ab",
                "0123456789ab",
                "deadbeef" * 5,
                "a" * 63,
                "a" * 64,
                "A" * 64,
                "e3b0",
            ),
            *("fuzz", "x" * 128, "x" * 129, "..", "-x", "json", "images", "fuzz-job"),
        ]
    ),
    _HIDDEN,
)
_LABELS = st.dictionaries(
    st.sampled_from(
        [
            *("exitCode", "containerExitCode", "EXITCODE", "name", "image", "signal", "a"),
            *("docker-job-dispatcher.name", "Docker-Job-Dispatcher.namespace", "com.example.x"),
        ]
    ),
    st.one_of(st.sampled_from(["\u00b2", "0", "137", "-1", "1e9", ""]), _HIDDEN, _LONG),
    max_size=4,
)
_ENV = st.one_of(
    st.lists(st.sampled_from(["A=b", "A=", "A", "=b", "", "A=" + "x" * 131_070]), max_size=4),
    st.integers(0, 2).map(
        lambda n: (["A=" + "x" * 131_072], ["A=" + "x" * 1000] * 900, ["A=b"] * 40_000)[n]
    ),
)

_HOSTS = st.fixed_dictionaries(
    {},
    optional={
        "LogConfig": _LOGS,
        "Ulimits": _ULIMITS,
        "RestartPolicy": _RESTARTS,
        "NetworkMode": _NETWORKS,
        "CpuRealtimePeriod": _NUMBERS,
        "CpuRealtimeRuntime": _NUMBERS,
        "CpusetCpus": st.sampled_from(["0", "0-4000000000", "0-1," * 500, "", "x"]),
        "OomScoreAdj": _NUMBERS,
        "PidsLimit": _NUMBERS,
        "Memory": _NUMBERS,
        "ShmSize": _NUMBERS,
        "BlkioDeviceReadBps": _PATHS.map(lambda path: [{"Path": path, "Rate": 1}]),
        "Binds": _PATHS.map(lambda path: [f"{path}:/x"]),
        "Tmpfs": st.sampled_from([{"/t": "size=1m"}, {"/t": "mpol=bind:0"}, {"/t": "size=-1"}]),
        "SecurityOpt": st.sampled_from([["seccomp=unconfined"], ["no-new-privileges"]]),
        "Annotations": st.just({"org.systemd.property.X": "1"}),
    },
)
_MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "Name": _NAMES,
        "User": st.one_of(_LONG, _HIDDEN, st.sampled_from(["1000", "1000:1000", "0", "root"])),
        "Image": st.one_of(
            st.sampled_from([IMAGE, "../x", "a b", "no-such:1", ""]), _LONG, _HIDDEN
        ),
        "Env": _ENV,
        "Labels": _LABELS,
        "Cmd": st.one_of(st.just(["true"]), _LONG.map(lambda text: [text]), _HIDDEN.map(list)),
        "WorkingDir": _PATHS,
        "StopTimeout": _NUMBERS,
        "StopSignal": st.one_of(st.sampled_from(["SIGTERM", "9", "-1", "SIGRTMAX+9"]), _LONG),
        "Healthcheck": _HEALTH,
        "Hostname": st.one_of(_LONG, _HIDDEN),
        "Domainname": _LONG,
        "ExposedPorts": st.sampled_from([{"1-65535/tcp": {}}, {"80/tcp": {}}, {"x" * 5000: {}}]),
        "NetworkingConfig": _NETWORKS.map(lambda name: {"EndpointsConfig": {name: {}}}),
    },
)

_GOOD: Members = {"Name": "fuzz-job", "Image": IMAGE, "Cmd": ["true"], "User": "1000"}


def _keep_some(made: Members, chosen: list[int]) -> Members:
    """Return the good manifest with two members of ``made`` at most: more are hardly admitted."""
    keys = sorted(made)
    return _GOOD | {keys[number % len(keys)]: made[keys[number % len(keys)]] for number in chosen}


HOSTILE: st.SearchStrategy[Members] = st.one_of(
    st.builds(
        _keep_some,
        _MEMBERS.filter(bool),
        st.lists(st.integers(0, 20), min_size=1, max_size=2),
    ),
    _HOSTS.filter(bool).map(
        lambda host: _GOOD | {"HostConfig": dict(list(host.items())[: 1 + len(host) % 2])}
    ),
    st.builds(lambda logs: _GOOD | {"HostConfig": {"LogConfig": logs}}, _LOGS),
    st.builds(lambda made, host: _GOOD | made | {"HostConfig": host}, _MEMBERS, _HOSTS),
)

NUMBERS = st.sampled_from(
    [
        *(b"1e99", b"1e" + b"9" * 400, b"-1E+99999", b"0." + b"0" * 500 + b"1", b"1" * 400 + b".5"),
        *(b"9007199254740993.0", b"9007199254740992", b"1e22", b"-0.0", b"1E400", b"0e99999"),
    ]
)
"""Numbers whose text or size some reader of JSON cannot take."""
