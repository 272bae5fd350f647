"""Places of requests that last: nobody has all of them while others are there."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from api.server.clients import CLIENT, Client
from api.server.http.problem import Problem
from api.server.watchers import Watchers
from tests.support.clients import meet
from tests.support.virtual_time import on_virtual_time

MOST = 16


@contextmanager
def crowd(watchers: Watchers, client: Client, kind: str = "wait") -> Iterator[int]:
    """Have a client hold as many places as it gets, and yield their number."""
    token = CLIENT.set(client)
    with ExitStack() as places:
        held = 0
        with suppress(Problem):
            while held < 10 * MOST:
                places.enter_context(watchers.hold(kind))
                held += 1
        CLIENT.reset(token)
        yield held


def make(counts: dict[str, int], connections: int = 4 * MOST) -> Watchers:
    return Watchers(MOST, connections, counts.__setitem__)


@on_virtual_time
async def test_who_is_alone_has_all_places_and_beside_others_half() -> None:
    (alone,) = meet("a")
    with crowd(make({}), alone) as held:
        assert held == MOST
    one, _ = meet("a", "b")
    with crowd(make({}), one) as held:
        assert held == MOST // 2


@on_virtual_time
async def test_who_comes_later_has_places_although_one_has_taken_all() -> None:
    watchers = make({})
    (first,) = meet("a")
    second, third = meet("b", "c")
    with crowd(watchers, first) as all_of_them, crowd(watchers, second, "events") as half:
        assert (all_of_them, half) == (MOST, MOST // 2)
        with crowd(watchers, third, "log") as share:
            assert share == MOST // 3


@pytest.mark.parametrize(("connections", "held"), [(16, 14), (32, 28), (3, 2), (64, 40)])
@on_virtual_time
async def test_watchers_of_many_clients_leave_others_connections(
    connections: int, held: int
) -> None:
    watchers = make({}, connections)
    (first,) = meet("a")
    others = meet("b", "c", "d", "e", "f", "g")
    with ExitStack() as crowds:
        shares = [crowds.enter_context(crowd(watchers, one)) for one in (first, *others)]
        assert sum(shares) == held


@pytest.mark.parametrize("kinds", [("wait",), ("wait", "events", "log")])
@on_virtual_time
async def test_places_are_counted_by_kind_and_free_again_after_the_block(
    kinds: tuple[str, ...],
) -> None:
    counts: dict[str, int] = {}
    watchers = make(counts)
    (client,) = meet("a")
    CLIENT.set(client)
    for _ in range(2):
        with ExitStack() as places:
            for kind in kinds:
                places.enter_context(watchers.hold(kind))
            assert counts == dict.fromkeys(kinds, 1)
            assert [watchers.count(kind) for kind in kinds] == [1] * len(kinds)
        assert counts == dict.fromkeys(kinds, 0)
        with crowd(watchers, client) as held:
            assert held == MOST
