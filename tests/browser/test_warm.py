"""An app that begins warm has its own arguments, environment and log, and ends as told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.warm import BEGUN_BY, Warm, can_fork


@pytest.mark.parametrize(("asked", "status", "words"), [
    ("version", 0, "Streamlit, version"), ("nonsense", 2, "No such command 'nonsense'")])
def test_it_says_into_its_log_and_ends_with_its_status(
        warm: Warm | None, tmp_path: Path, asked: str, status: int, words: str) -> None:
    if warm is None:
        return
    log = tmp_path / "log"
    begun = warm.begin([sys.executable, *BEGUN_BY, asked], {"PATH": "/usr/bin"}, log)
    assert begun.wait(30.0) == begun.poll() == status
    begun.terminate()
    assert words in log.read_text()


def test_what_may_import_something_else_begins_by_itself() -> None:
    assert can_fork({"ORRERY_CHANGE_SOURCES": "1"})
    assert not can_fork({"HOME": "/nowhere"})
