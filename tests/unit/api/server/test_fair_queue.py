"""Clients take turns, each in its order; who has had its share lets others pass."""

import pytest

from api.server.fair_queue import FairQueue, halve, name_address


def drain(queue: FairQueue[str]) -> list[str]:
    taken = []
    while (item := queue.pop(lambda _: True)) is not None:
        taken.append(item)
    return taken


def test_clients_take_turns_and_keep_their_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.push(item[0], item)
    assert len(queue) == 6
    assert drain(queue) == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert len(queue) == 0


def test_who_may_not_is_passed_over_and_loses_no_turn() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "b1", "b2"):
        queue.push(item[0], item)
    assert queue.pop(lambda client: client != "a") == "b1"
    assert queue.pop(lambda _: False) is None
    assert drain(queue) == ["a1", "b2", "a2"]


def test_what_left_the_queue_is_not_handed_out() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "b1", "b2"):
        queue.push(item[0], item)
    for item in ("a1", "b1", "b1", "z1"):
        queue.discard(item[0], item)
    assert drain(queue) == ["b2"]


def test_nobody_is_a_client_too() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push(None, "n1")
    assert drain(queue) == ["n1"]


@pytest.mark.parametrize(("whole", "share"), [(1, 1), (2, 1), (3, 2), (4, 2), (128, 64)])
def test_a_share_is_half_and_never_nothing(whole: int, share: int) -> None:
    assert halve(whole) == share


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        (None, "", True),
    ],
)
def test_an_address_is_a_client_and_a_host_has_a_whole_network_of_ipv6(
    one: str | None, other: str, *, same: bool
) -> None:
    assert (name_address(one) == name_address(other)) == same
