"""A private swarm: engines that are nodes, each with a network, a host's name and a link.

The links meet at a bridge in one more network namespace: the machine's own network is never
touched. A node can lose its power, its link, its work or its lead, and get it back.
"""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, Final, Self

from tests.support.network import Network, cut_off
from tests.support.private_engine import EngineFailedError, PrivateEngine
from tests.support.waiting import wait_until

_SUBNET: Final = "198.18.0"
"""Set aside for tests of networks: no pool of the engine's reaches into it."""
_PATIENCE: Final = 60.0
_CALL: Final = 4.0
"""Without a leader a call takes long and fails."""


class Node:
    """One engine of a swarm; ``name`` is its host's, by which the swarm knows it."""

    def __init__(self, number: int, hub: Network, own: Network, engine: PrivateEngine) -> None:
        self.name = _name_node(number)
        self.address = f"{_SUBNET}.{number}"
        self.engine = engine
        self.network = own
        self._hub = hub
        self._plugged = True

    @property
    def is_reachable(self) -> bool:
        """Whether it runs and its link stands: another may yet think that it leads."""
        return self.engine.is_running and self._plugged

    @property
    def host(self) -> str:
        """What ``DOCKER_HOST`` must be to reach this node's engine: a link is not on the way."""
        return self.engine.host

    def connect(self) -> None:
        """Lay the link between this node and the bridge."""
        peer = ("peer", "name", "eth0", "netns", str(self.network.pid))
        _run(self._hub, "ip", "link", "add", self.name, "type", "veth", *peer)
        _run(self._hub, "ip", "link", "set", self.name, "master", "hub", "up")
        _run(self.network, "ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        _run(self.network, "ip", "link", "set", "eth0", "up")

    def kill(self) -> None:
        """Take its power away: its engine and its jobs end at once, what is on its disk stays."""
        self.engine.lose_power()

    def start(self, *, wait: bool = True) -> None:
        """Start its engine again, which joins the swarm as the node that it was.

        Without ``wait``, return before it serves: of one without a quorum that takes long.
        """
        self.engine.start(wait=wait)

    def unplug(self) -> None:
        """Cut its link; its engine and its jobs run on."""
        self._plugged = False
        _run(self._hub, "ip", "link", "set", self.name, "down")

    def plug(self) -> None:
        """Mend its link."""
        _run(self._hub, "ip", "link", "set", self.name, "up")
        self._plugged = True

    def ask(self, *arguments: str) -> str:
        """Run the Docker command line against its engine; nothing if it fails."""
        try:
            done = self.engine.docker(*arguments, check=False, timeout=_CALL)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout if done.returncode == 0 else ""


class PrivateSwarm:
    """``size`` nodes, all of them managers unless ``managers`` says fewer.

    ``with`` starts them and leaves nothing behind; ``options`` as for a private engine.
    """

    def __init__(
        self,
        size: int = 3,
        *,
        managers: int | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        self._size = size
        self._managers = size if managers is None else managers
        self._options = options
        self._stack = ExitStack()
        self.nodes: tuple[Node, ...] = ()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            hub = stack.enter_context(cut_off("hub"))
            _run(hub, "ip", "link", "add", "hub", "type", "bridge")
            _run(hub, "ip", "link", "set", "hub", "up")
            stack.callback(self._close_engines)
            for number in range(1, self._size + 1):
                own = stack.enter_context(cut_off(_name_node(number)))
                node = Node(number, hub, own, PrivateEngine(self._options, own))
                self.nodes += (node,)
                node.connect()
            self._on_all(lambda node: node.engine.start())
            self._on_all(lambda node: node.engine.load_image())
            self._form()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything that belongs to this swarm."""
        self._stack.close()

    def _form(self) -> None:
        first, *others = self.nodes
        first.engine.docker("swarm", "init", "--advertise-addr", first.address)
        for number, node in enumerate(others, start=2):
            role = "manager" if number <= self._managers else "worker"
            token = first.engine.docker("swarm", "join-token", "--quiet", role).stdout.strip()
            node.engine.docker(
                *("swarm", "join", "--token", token, "--advertise-addr", node.address),
                f"{first.address}:2377",
            )
        self.wait_until_ready()

    def _close_engines(self) -> None:
        """Take the power from all: without a quorum an engine takes long to stop in good order."""
        self._on_all(_close)

    def _on_all(self, act: Callable[[Node], Any]) -> None:
        with ThreadPoolExecutor(max(len(self.nodes), 1)) as pool:
            list(pool.map(act, self.nodes))

    @property
    def managers(self) -> Sequence[Node]:
        """The nodes that began as managers."""
        return self.nodes[: self._managers]

    def read_nodes(self) -> dict[str, tuple[str, str, str]]:
        """Return status, availability and manager's status of each node by its name.

        As a manager shows them that has a leader; nothing where there is none.
        """
        form = "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}"
        for node in self.managers:
            if node.is_reachable and (text := node.ask("node", "ls", "--format", form)):
                rows = [[*line.split(), ""] for line in text.splitlines()]
                return {row[0]: (row[1], row[2], row[3]) for row in rows}
        return {}

    def find_leader(self) -> Node | None:
        """Return the node that leads, none while there is no quorum."""
        rows = self.read_nodes()
        return next(
            (node for node in self.nodes if rows.get(node.name, [""])[-1] == "Leader"), None
        )

    def wait_for_leader(self) -> Node:
        """Wait until a node leads, and return it."""
        found: list[Node] = []

        def look() -> bool:
            found[:] = [node for node in [self.find_leader()] if node is not None]
            return bool(found)

        wait_until(look, "a node leads the swarm", patience=_PATIENCE)
        return found[0]

    def hand_over(self) -> Node:
        """Take the lead from the node that has it, and return the one that has it then."""
        old = self.wait_for_leader()
        self._order("demote", old.name, apart_from=old)
        wait_until(
            partial(self._leads_another, old), "another node leads the swarm", patience=_PATIENCE
        )
        self._order("promote", old.name, apart_from=old)
        self.wait_until_ready()
        return self.wait_for_leader()

    def _leads_another(self, old: Node) -> bool:
        return self.find_leader() not in {None, old} and self.read_nodes()[old.name][2] == ""

    def drain(self, node: Node) -> None:
        """Have the swarm give a node no work, and end that which it has."""
        self._order("update", "--availability", "drain", node.name)

    def activate(self, node: Node) -> None:
        """Have the swarm give a node work again."""
        self._order("update", "--availability", "active", node.name)

    def _order(self, *arguments: str, apart_from: Node | None = None) -> None:
        """Have managers change a node until one does: without a leader, or as it changes, none."""

        def try_all() -> bool:
            asked = [node for node in self.managers if node.is_reachable and node is not apart_from]
            return any(node.ask("node", *arguments) for node in asked)

        wait_until(try_all, f"docker node {' '.join(arguments)}", patience=_PATIENCE)

    def wait_until_ready(self, patience: float = _PATIENCE) -> None:
        """Wait until every node is ready and each manager reaches the leader."""
        wait_until(self._is_ready, "all nodes are ready", patience=patience)

    def find_stuck(self) -> list[Node]:
        """Return the nodes that are not ready, and the managers that do not answer as such."""
        rows = self.read_nodes()
        return [
            node
            for node in self.nodes
            if rows.get(node.name, ("",))[0] != "Ready"
            or (node in self.managers and not node.ask("node", "ls"))
        ]

    def _is_ready(self) -> bool:
        rows = self.read_nodes()
        ready = sum(status == "Ready" for status, _, _ in rows.values())
        reachable = sum(role in {"Leader", "Reachable"} for _, _, role in rows.values())
        return (ready, reachable) == (self._size, self._managers) and self._all_answer()

    def _all_answer(self) -> bool:
        """Tell whether each manager answers: one that has just become it does not for a second."""
        return all(node.ask("node", "ls") for node in self.managers)


def _close(node: Node) -> None:
    node.engine.lose_power()
    node.engine.close()


def _name_node(number: int) -> str:
    return f"node-{number}"


def _run(network: Network, *command: str) -> None:
    done = subprocess.run(network.enter(*command), check=False, capture_output=True, text=True)
    if done.returncode:
        raise EngineFailedError(f"{' '.join(command)}: {done.stderr}")
