"""Clients take turns, each in its order; who has had its share lets others pass."""

from api.server.clients import Client
from api.server.fair_queue import FairQueue


def drain(queue: FairQueue[str]) -> list[str]:
    taken = []
    while (item := queue.pop(lambda _: True)) is not None:
        taken.append(item)
    return taken


def test_clients_take_turns_and_keep_their_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.push(Client(item[0]), item)
    assert queue
    assert drain(queue) == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert not queue


def test_who_may_not_is_passed_over_and_loses_no_turn() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "b1", "b2"):
        queue.push(Client(item[0]), item)
    assert queue.pop(lambda client: client != Client("a")) == "b1"
    assert queue.pop(lambda _: False) is None
    assert drain(queue) == ["a1", "b2", "a2"]


def test_what_left_the_queue_is_not_handed_out() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "b1", "b2"):
        queue.push(Client(item[0]), item)
    for item in ("a1", "b1", "b1", "z1"):
        queue.discard(Client(item[0]), item)
    assert drain(queue) == ["b2"]


def test_nobody_is_a_client_too() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push(None, "n1")
    assert drain(queue) == ["n1"]
