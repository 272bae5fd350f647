"""What is noted in a service's labels is read as it was written, and garbage breaks nothing."""

import pytest

from api.engine.swarm.labels import (
    CANCEL_MARK,
    END,
    LOSS,
    PURGE_MARK,
    STOP,
    End,
    Loss,
    Stop,
    decode_end,
    decode_loss,
    decode_marks,
    decode_stop,
    encode_end,
    encode_loss,
    encode_mark,
    encode_stop,
)
from api.v1.mark import Mark

UID = "s" * 25
NOW = 1_796_000_000_123_456_789


@pytest.mark.parametrize(
    "end",
    [
        End(0, NOW, NOW + 1),
        End(137, None, NOW, node="node-2"),
        End(None, None, NOW, ran=False),
        End(None, NOW, None, node="node-2", error="node node-2 was lost", lost=True),
    ],
)
def test_an_end_is_read_as_it_was_written(end: End) -> None:
    assert decode_end({END: encode_end(end)}) == end


@pytest.mark.parametrize(
    "stop", [Stop(NOW), Stop(NOW, ran=False), Stop(NOW, ran=True, started_at=1)]
)
def test_a_stop_is_read_as_it_was_written(stop: Stop) -> None:
    assert decode_stop({STOP: encode_stop(stop)}) == stop


def test_a_loss_is_read_as_it_was_written() -> None:
    loss = Loss(2, "t" * 25, "node node-2 was lost")
    assert decode_loss({LOSS: encode_loss(loss)}) == loss


@pytest.mark.parametrize(
    "mark", [Mark("", UID, NOW), Mark("", UID, NOW, grace=0, purge=True, why='a "reason" ✓')]
)
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    [(own, read)] = decode_marks(UID, {CANCEL_MARK: encode_mark(mark)}).items()
    assert own == f"{UID}.cancel"
    assert read == Mark(own, UID, NOW, mark.grace, purge=mark.purge, why=mark.why)


def test_the_mark_of_a_purge_is_one_whatever_it_says() -> None:
    marks = decode_marks(UID, {PURGE_MARK: "", CANCEL_MARK: encode_mark(Mark("", UID, NOW))})
    assert {own: mark.purge for own, mark in marks.items()} == {
        f"{UID}.cancel": False,
        f"{UID}.purge": True,
    }


def test_no_label_is_nothing() -> None:
    assert (decode_end({}), decode_stop({}), decode_loss({})) == (None, None, None)
    assert decode_marks(UID, {}) == {}


@pytest.mark.parametrize(
    "text", ["", "no JSON", "7", "[]", '{"exitCode": "1", "at": 3}', "[" * 9999]
)
def test_what_somebody_else_has_written_breaks_nothing(text: str) -> None:
    """It still says that the job is over, stopped, or cancelled: a job must not run twice."""
    labels = dict.fromkeys((END, STOP, LOSS, CANCEL_MARK), text)
    assert decode_end(labels) == End(None, None, None)
    assert decode_stop(labels) == Stop(0)
    assert decode_loss(labels) == Loss(1, "")
    assert list(decode_marks(UID, labels)) == [f"{UID}.cancel"]
