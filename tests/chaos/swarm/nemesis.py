"""Injects the faults of a schedule into the nodes of a swarm, their links, and the processes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from tests.chaos.history import Recorder
from tests.chaos.injector import Injector
from tests.chaos.schedule import Schedule
from tests.chaos.swarm.arena import Host
from tests.support.private_engine import frozen
from tests.support.private_swarm import Node, PrivateSwarm

NODE_FAULTS: Final[Mapping[str, int]] = {
    "kill-node": 3,
    "kill-leader": 3,
    "unplug-node": 2,
    "unplug-leader": 2,
    "hand-over": 2,
    "restart-node": 2,
    "drain-node": 2,
    "freeze-node": 1,
    "lose-quorum": 1,
}
"""How often in a run of 600 s: each takes up to a minute, until all nodes are ready again."""
PROCESS_FAULTS: Final[Mapping[str, int]] = {
    "kill-api": 16,
    "kill-controller": 14,
    "freeze-controller": 4,
}
LONGEST: Final = 15.0
"""Schedules hold a fault for up to 1.6 times as long: a node is found to be down after 14 s."""
_PATIENCE: Final = 120.0


class SwarmNemesis(Injector):
    """Works through ``schedule``: between two faults of nodes all of them become ready again."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        seed: int,
        swarm: PrivateSwarm,
        hosts: tuple[Host, ...],
        recorder: Recorder,
    ) -> None:
        super().__init__(
            schedule,
            seed=seed,
            apis=tuple(host.api for host in hosts),
            controllers=tuple(host.controller for host in hosts),
            recorder=recorder,
        )
        self._swarm = swarm
        self._hosts = hosts
        self.faults |= {
            "kill-node": lambda held: self._kill(held, self._choose()),
            "kill-leader": lambda held: self._kill(held, self._swarm.wait_for_leader()),
            "unplug-node": lambda held: self._unplug(held, self._choose()),
            "unplug-leader": lambda held: self._unplug(held, self._swarm.wait_for_leader()),
            "hand-over": lambda _: self._hand_over(),
            "restart-node": lambda held: self._restart(held, self._choose()),
            "drain-node": lambda held: self._drain(held, self._choose()),
            "freeze-node": lambda held: self._freeze(held, self._choose()),
            "lose-quorum": lambda held: self._kill(held, *self._choose_two()),
        }

    def settle(self, what: str) -> None:
        """Wait until the swarm has all its nodes again.

        After a lost quorum an engine was seen to answer, while its part in the swarm did not come
        back: it is started anew then, as an operator would.
        """
        if what in NODE_FAULTS:
            began = time.monotonic()
            try:
                self._swarm.wait_until_ready(_PATIENCE)
            except AssertionError:
                for node in self._swarm.find_stuck():
                    self._restart(0.0, node)
                self._swarm.wait_until_ready(_PATIENCE)
            self.recorder.record("ready", after=what, seconds=time.monotonic() - began)

    def _choose(self) -> Node:
        return self.random.choice(self._swarm.nodes)

    def _choose_two(self) -> list[Node]:
        return self.random.sample(self._swarm.nodes, 2)

    @contextmanager
    def _away(self, how: str, *nodes: Node) -> Iterator[None]:
        """Record that nodes are away for the length of the block."""
        for node in nodes:
            self.recorder.record("away", node=node.name, how=how, moment="begin")
        yield
        for node in nodes:
            self.recorder.record("away", node=node.name, how=how, moment="end")

    def _kill(self, held: float, *nodes: Node) -> None:
        """Take the power from nodes, and from the processes on them."""
        with self._away("kill", *nodes):
            for node in nodes:
                node.kill()
                for host in self._hosts:
                    if host.node is node:
                        host.api.kill(held)
                        host.controller.kill(held)
            self.stopped.wait(held)
            for node in nodes:
                node.start(wait=False)
            for node in nodes:
                node.engine.wait_until_ready()

    def _unplug(self, held: float, node: Node) -> None:
        with self._away("cut", node):
            node.unplug()
            self.stopped.wait(held)
            node.plug()

    def _restart(self, held: float, node: Node) -> None:
        """Stop an engine in good order, as for an upgrade; its host's processes live on."""
        with self._away("stop", node):
            node.engine.stop()
            self.stopped.wait(min(held, 5))
            node.start()

    def _drain(self, held: float, node: Node) -> None:
        with self._away("drain", node):
            self._swarm.drain(node)
            self.stopped.wait(held)
            self._swarm.activate(node)

    def _freeze(self, held: float, node: Node) -> None:
        with self._away("freeze", node), frozen(node.engine.pid):
            self.stopped.wait(held)

    def _hand_over(self) -> None:
        self._swarm.hand_over()
