"""Files that others on the host could change or read."""

import os
from pathlib import Path
from stat import ST_GID, ST_UID

import pytest

from api.runtime.file_permissions import describe_exposure


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    return folder


def write(path: Path, mode: int) -> Path:
    path.write_text("x")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("mode", "secret", "faults"),
    [
        (0o600, True, []),
        (0o644, False, []),
        (0o644, True, ["can be read by everybody"]),
        (0o646, False, ["can be written by everybody"]),
        (0o622, True, ["can be written by everybody"]),
    ],
)
def test_a_file_that_others_can_write_or_a_secret_they_can_read_is_exposed(
    folder: Path, mode: int, faults: list[str], *, secret: bool
) -> None:
    file = write(folder / "f", mode)
    assert describe_exposure(file, secret=secret) == [f"{file} {fault}" for fault in faults]


@pytest.mark.parametrize(
    ("user", "faults"), [(0, ["can be written by its group"]), (4242, [])], ids=["other", "own"]
)
def test_a_group_of_others_that_can_write_is_named(
    folder: Path, user: int, faults: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(folder / "f", 0o620)
    read = Path.stat

    def stat(path: Path) -> os.stat_result:
        """Show the file as one of another user's: only root could make it so."""
        fields = list(read(path))
        if path == file:
            fields[ST_UID], fields[ST_GID] = user, 4242
        return os.stat_result(fields)

    monkeypatch.setattr(Path, "stat", lambda path, **_: stat(path))
    assert describe_exposure(file) == [f"{file} {fault}" for fault in faults]


def test_a_directory_in_which_others_can_put_another_file_exposes_it(folder: Path) -> None:
    file = write(folder / "f", 0o600)
    folder.chmod(0o777)
    assert describe_exposure(file) == [f"{folder} can be written by everybody"]
    folder.chmod(0o1777)
    assert describe_exposure(file) == []


def test_files_in_a_directory_and_behind_links_are_judged(folder: Path) -> None:
    file = write(folder / "f", 0o666)
    link = folder / "link"
    link.symlink_to(file)
    (folder / "dangling").symlink_to(folder / "gone")
    assert describe_exposure(link) == [f"{file} can be written by everybody"]
    assert f"{file} can be written by everybody" in describe_exposure(folder)
    with pytest.raises(OSError, match="No such file"):
        describe_exposure(folder / "dangling")
