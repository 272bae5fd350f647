"""What a manifest mounts, in all the forms that the engine knows, as Swarm's one: mounts.

Two things are Swarm's own. A path of the host must be there on the node: Swarm makes no folder. And
a named volume is the node's: the next job finds it only where the first one ran.
"""

import re
from collections.abc import Iterator, Sequence
from posixpath import normpath
from typing import Any, Final

from api.engine.capabilities import Unsupported
from api.engine.swarm.reading import Body, Version, get_host
from api.engine.swarm.templates import escape
from api.v1.quoting import point, quote

Mount = dict[str, Any]

_SHM: Final = "/dev/shm"  # noqa: S108 - the job's, not ours
_SHM_MODE: Final = 0o1777
_KINDS: Final = frozenset({"bind", "volume", "tmpfs", "npipe", "cluster"})
"""Anything else Swarm takes for a bind mount, or refuses with a word about its own."""
_PROPAGATIONS: Final = frozenset({"private", "rprivate", "slave", "rslave", "shared", "rshared"})
_WORDS: Final = frozenset({"ro", "rw", "consistent", "cached", "delegated"})
_PATH_WORDS: Final = _WORDS | _PROPAGATIONS
_VOLUME_WORDS: Final = _WORDS | {"nocopy"}
_OWN_DRIVERS: Final = frozenset({"", "local"})

_TMPFS_SIZE: Final = re.compile("size=([1-9][0-9]{0,14})([kmgKMG]?)")
_TMPFS_MODE: Final = re.compile("mode=(0*[1-7][0-7]{0,4})")
_TMPFS_DEFAULTS: Final = frozenset({"", "defaults", "rw", "noexec", "nosuid", "nodev"})
_TMPFS_OPTIONS_SINCE: Final = (1, 46)
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def read_mounts(body: Body, version: Version) -> Iterator[Mount | Unsupported]:
    """Yield each mount of a service, and what cannot be one."""
    host = get_host(body)
    driver: str = host.get("VolumeDriver", "")
    for index, mount in enumerate(host.get("Mounts", ())):
        yield _read_mount(mount, point("/HostConfig/Mounts", index))
    for index, bind in enumerate(host.get("Binds", ())):
        yield _read_bind(bind, driver, point("/HostConfig/Binds", index))
    for target, options in host.get("Tmpfs", {}).items():
        yield _read_tmpfs(target, options, version, point("/HostConfig/Tmpfs", target))
    targets = {*_list_targets(host)}
    # as on one engine: what is mounted there already stays
    for target in body.get("Volumes", {}):
        if normpath(target) not in targets:
            targets.add(normpath(target))
            yield _make_volume("", target, driver, "/HostConfig/VolumeDriver")
    if host.get("ShmSize") and _SHM not in targets:
        # what an engine mounts there itself, options and all
        options = {"SizeBytes": host["ShmSize"], "Mode": _SHM_MODE}
        yield {"Type": "tmpfs", "Target": _SHM, "TmpfsOptions": options}


def _list_targets(host: Body) -> Iterator[str]:
    for mount in host.get("Mounts", ()):
        yield normpath(mount.get("Target", ""))
    for bind in host.get("Binds", ()):
        yield normpath(_split(bind)[1])
    yield from map(normpath, host.get("Tmpfs", {}))


def _read_mount(mount: Body, pointer: str) -> Mount | Unsupported:
    kind = mount.get("Type", "")
    if kind not in _KINDS:
        return Unsupported(f"{pointer}/Type", f"Swarm mounts nothing of the type {quote(kind)}")
    made: Mount = {"Type": kind, "Target": escape(mount.get("Target", ""))}
    source = mount.get("Source", "")
    if source:
        made["Source"] = escape(source)
    made |= {
        key: mount[key] for key in ("ReadOnly", "TmpfsOptions", "ClusterOptions") if key in mount
    }
    if "BindOptions" in mount:
        taken = ("Propagation", "NonRecursive")
        made["BindOptions"] = {k: v for k, v in mount["BindOptions"].items() if k in taken}
    if "VolumeOptions" in mount:
        options = _read_volume_options(mount["VolumeOptions"], source, f"{pointer}/VolumeOptions")
        if isinstance(options, Unsupported):
            return options
        made["VolumeOptions"] = options
    return made


def _read_volume_options(given: Body, source: str, pointer: str) -> Mount | Unsupported:
    options = dict(given)
    if "Labels" in options:
        options["Labels"] = _escape_values(options["Labels"])
    if "DriverConfig" not in options:
        return options
    driver = dict(options.pop("DriverConfig"))
    if "Options" in driver:
        driver["Options"] = _escape_values(driver["Options"])
    if source:
        return options | {"DriverConfig": driver}
    if driver.get("Name", "") in _OWN_DRIVERS and not driver.get("Options"):
        return options
    return _refuse_unnamed(f"{pointer}/DriverConfig")


def _read_bind(bind: str, driver: str, pointer: str) -> Mount | Unsupported:
    source, target, text = _split(bind)
    if ":" in text:
        return Unsupported(pointer, "Swarm takes no bind of more than three parts")
    words = [word for word in text.split(",") if word]
    is_path = source.startswith("/")
    known = _PATH_WORDS if is_path else _VOLUME_WORDS
    if strange := [word for word in words if word not in known]:
        kind = "path of the host" if is_path else "volume"
        return Unsupported(pointer, f"Swarm has no option {quote(strange[0])} for a {kind}")
    if is_path:
        mount = _make_path(source, target, [word for word in words if word in _PROPAGATIONS])
    else:
        mount = _make_volume(source, target, driver, "/HostConfig/VolumeDriver")
    if isinstance(mount, Unsupported):
        return mount
    if "nocopy" in words:
        mount["VolumeOptions"] = mount.get("VolumeOptions", {}) | {"NoCopy": True}
    return mount | ({"ReadOnly": True} if "ro" in words else {})


def _split(bind: str) -> tuple[str, str, str]:
    """Return source, target and options; the engine splits at colons, too."""
    first, colon, rest = bind.partition(":")
    if not colon:
        return "", first, ""
    target, _, options = rest.partition(":")
    return first, target, options


def _make_path(source: str, target: str, spreads: Sequence[str]) -> Mount | Unsupported:
    mount: Mount = {"Type": "bind", "Source": escape(source), "Target": escape(target)}
    return mount | ({"BindOptions": {"Propagation": spreads[0]}} if spreads else {})


def _make_volume(source: str, target: str, driver: str, pointer: str) -> Mount | Unsupported:
    mount: Mount = {"Type": "volume", "Target": escape(target)}
    if not source:
        return mount if driver in _OWN_DRIVERS else _refuse_unnamed(pointer)
    mount["Source"] = escape(source)
    return mount | ({"VolumeOptions": {"DriverConfig": {"Name": driver}}} if driver else {})


def _refuse_unnamed(pointer: str) -> Unsupported:
    """Refuse a driver for a volume without a name.

    A node makes one volume with it before the job's, which nothing uses or removes.
    """
    return Unsupported(pointer, "Swarm has a driver only for volumes with a name")


def _read_tmpfs(target: str, text: str, version: Version, pointer: str) -> Mount | Unsupported:
    mount: Mount = {"Type": "tmpfs", "Target": escape(target)}
    options: dict[str, Any] = {}
    for word in text.split(","):
        if word in _TMPFS_DEFAULTS:
            continue
        if word == "ro":
            mount["ReadOnly"] = True
        elif size := _TMPFS_SIZE.fullmatch(word):
            options["SizeBytes"] = int(size[1]) * _UNITS[size[2].lower()]
        elif mode := _TMPFS_MODE.fullmatch(word):
            options["Mode"] = int(mode[1], 8)
        elif word == "exec" and version >= _TMPFS_OPTIONS_SINCE:
            options["Options"] = [["exec"]]
        else:
            message = f"Swarm gives a tmpfs a size, a mode and ro, and not {quote(word)}"
            return Unsupported(pointer, message)
    return mount | ({"TmpfsOptions": options} if options else {})


def _escape_values(texts: Body) -> dict[str, str]:
    return {key: escape(value) for key, value in texts.items()}
