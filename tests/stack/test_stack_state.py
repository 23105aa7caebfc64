"""What a stack keeps in its data folder."""

import os
import stat
import time
from pathlib import Path

import psutil
import pytest

from dev.stack.state import Home, StateError, is_alive


def test_keys_are_made_once_and_only_the_owner_may_read_them(tmp_path: Path):
    first = Home(tmp_path).secrets()
    assert Home(tmp_path).secrets() == first
    assert len(set(first.values())) == len(first)
    assert len(bytes.fromhex(first["JWT_KEY"])) >= 32
    mode = stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode)
    assert mode == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"JWT_KEY": "x"}'])
def test_damaged_keys_are_told_with_what_to_do(tmp_path: Path, text: str):
    (tmp_path / "secrets.json").write_text(text)
    with pytest.raises(StateError, match="rm -r"):
        Home(tmp_path).secrets()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_run_file_is_told_with_what_to_do(tmp_path: Path, text: str):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(StateError, match="remove it"):
        Home(tmp_path).run()


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="can't be used"):
        Home(tmp_path / "file" / "data").prepare()


def test_the_lock_is_taken_once_and_given_back(tmp_path: Path):
    first, second = Home(tmp_path), Home(tmp_path)
    assert first.try_lock()
    assert not second.try_lock()
    first.unlock()
    assert second.try_lock()
    second.unlock()


def test_a_process_of_another_time_is_not_taken_for_ours():
    assert is_alive(os.getpid(), _started(os.getpid()))
    assert not is_alive(os.getpid(), _started(os.getpid()) - 3600)
    assert not is_alive(os.getpid(), time.time() + 3600)


def _started(pid: int) -> float:
    return psutil.Process(pid).create_time()
