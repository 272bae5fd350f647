"""Who is a client, who is there, and how much one of them may have."""

import asyncio
from collections import Counter

import pytest

from api.server.clients import RECENT, Client, Company, has_room, name_address
from tests.support.clients import meet
from tests.support.virtual_time import on_virtual_time


@on_virtual_time
async def test_a_client_is_alone_until_another_comes_and_again_when_that_one_is_gone() -> None:
    company = Company()
    a, b = Client("a", company), Client("b", company)
    seen = []
    for asks in ("", "a", "b", "a", "", ""):
        if asks:
            company.note(asks)
        seen.append((a.is_alone, b.is_alone))
        await asyncio.sleep(RECENT / 2)
    assert seen == [
        *((True, True), (True, False), (False, False), (False, False)),
        *((True, False), (True, True)),
    ]
    assert not company._seen


@on_virtual_time
async def test_alone_all_is_for_one_and_beside_others_half() -> None:
    (a,) = meet("a")
    assert has_room(a, Counter({a: 127}), 128)
    assert not has_room(a, Counter({a: 128}), 128)
    a, b = meet("a", "b")
    assert has_room(a, Counter({a: 63}), 128)
    assert not has_room(a, Counter({a: 64}), 128)
    assert has_room(b, Counter({a: 64}), 128)


@on_virtual_time
async def test_what_one_took_alone_is_no_reason_to_refuse_another() -> None:
    a, b, c = meet("a", "b", "c")
    taken: Counter[Client | None] = Counter({a: 128})
    while has_room(b, taken, 128):
        taken[b] += 1
    while has_room(c, taken, 128):
        taken[c] += 1
    assert taken == {a: 128, b: 64, c: 42}
    assert not has_room(a, taken, 128)


@on_virtual_time
async def test_there_is_room_for_one_where_there_is_one() -> None:
    a, b = meet("a", "b")
    assert has_room(a, Counter(), 1)
    assert not has_room(b, Counter({a: 1}), 1)


@on_virtual_time
async def test_where_no_client_is_named_the_limit_is_for_all() -> None:
    (a,) = meet("a")
    assert has_room(None, Counter({a: 3}), 4)
    assert not has_room(None, Counter({a: 4}), 4)


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
