"""What is still being written is not read."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.support.event_log import EventLog


def test_a_line_that_is_cut_is_read_once_it_is_whole(tmp_path: Path) -> None:
    engine: Any = SimpleNamespace(folder=tmp_path)
    log = EventLog(engine, "ns")
    actor = {"ID": "id", "Attributes": {"name": "one"}}
    line = json.dumps({"Action": "die", "Actor": actor, "timeNano": 7}) + "\n"
    for end, count in ((40, 1), (len(line) - 1, 1), (len(line), 2)):
        log._path.write_text(line + line[:end])
        assert len(log.read("die")) == count
