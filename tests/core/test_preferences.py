"""People's own defaults: kept by a digest, read again, refused in words when they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import GiveUpError, RetryLaterError
from core.preferences import FILE, PreferenceBook

ANNA, BEN = "user anna@example.org", "operator ben"


def test_what_was_kept_is_found_again_by_the_same_person_alone(tmp_path: Path) -> None:
    book = PreferenceBook(tmp_path / "new")
    assert book.of(ANNA) == {}
    book.keep(ANNA, {"depth": "3"})
    book.keep(BEN, {"depth": "2"})
    book.keep(ANNA, {"colour": "soc_pct"})
    again = PreferenceBook(tmp_path / "new")
    assert again.of(ANNA) == {"colour": "soc_pct"}
    assert again.of(BEN) == {"depth": "2"}
    again.keep(ANNA, {})
    assert PreferenceBook(tmp_path / "new").of(ANNA) == {}


def test_the_file_names_nobody(tmp_path: Path) -> None:
    PreferenceBook(tmp_path).keep(ANNA, {"depth": "3"})
    assert "anna" not in (tmp_path / FILE).read_text()


def test_a_damaged_file_is_said_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"a": 3}')
    book = PreferenceBook(tmp_path)
    with pytest.raises(GiveUpError, match="damaged"):
        book.of(ANNA)
    with pytest.raises(GiveUpError, match="damaged"):
        book.keep(ANNA, {"depth": "3"})
    assert (tmp_path / FILE).read_text() == '{"a": 3}'


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RetryLaterError, match="cannot be"):
        PreferenceBook(tmp_path / "file").keep(ANNA, {"depth": "3"})
