"""What a manager's refusals mean: most of them are a 500 with a text."""

import pytest

from api.engine.errors import (
    ConflictError,
    EngineError,
    EngineInterruptedError,
    EngineRefusedError,
    OutdatedError,
    OverloadedError,
)
from api.engine.swarm.calls import tell_refusals


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("rpc error: code = Unknown desc = update out of sequence", OutdatedError),
        (
            (
                "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible"
                " that too few managers are online. Make sure more than half of the managers are"
                " online."
            ),
            OverloadedError,
        ),
        (
            (
                "rpc error: code = Unknown desc = raft: failed to process the request:"
                " node lost leader status"
            ),
            EngineInterruptedError,
        ),
        (
            "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
            EngineInterruptedError,
        ),
        ("rpc error: code = Unavailable desc = transport is closing", EngineInterruptedError),
        ("network no-such not found", EngineRefusedError),
    ],
)
def test_a_refusal_is_what_its_text_says(text: str, kind: type[EngineError]) -> None:
    with pytest.raises(EngineError) as caught, tell_refusals():
        raise EngineRefusedError(500, text)
    assert type(caught.value) is kind


def test_other_kinds_stay_as_they_are() -> None:
    with pytest.raises(ConflictError) as caught, tell_refusals():
        raise ConflictError(409, "name conflicts with an existing object")
    assert type(caught.value) is ConflictError
