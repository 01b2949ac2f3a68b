"""A policy's file where it drives: the gate's word comes before it, and the one before stays beside
it."""

from __future__ import annotations

import os
from pathlib import Path

from core.coordinator.actor import BEFORE, Record, Verdict, load, read
from core.errors import GiveUpError, RequestError


def deploy(data: bytes, place: Path, key: str | None, role: str) -> Verdict:
    """The file `data` at `place`, what was there kept beside it; what is there already stays as
    it is. Raises RequestError with the
    gate's words where it was refused, GiveUpError for what is not to be trusted and a place that
    cannot be written."""
    verdict = let(data, key, role)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        former = place.read_bytes() if place.exists() else None
        if former == data:
            return verdict
        if former is not None:
            _write(former, before(place))
        _write(data, place)
    except OSError as error:
        raise _not_written(place, error) from error
    return verdict


def _write(data: bytes, place: Path) -> None:
    """Whole or not at all."""
    whole = place.with_name(place.name + ".new")
    whole.write_bytes(data)
    os.replace(whole, place)


def let(data: bytes, key: str | None, role: str) -> Verdict:
    """The gate's word for it. Raises as `deploy`."""
    verdict = read(data, key).record.verdict(role)
    if verdict is None or not verdict.deployed:
        raise RequestError("It was never judged." if verdict is None else verdict.words)
    return verdict


def roll_back(place: Path, key: str | None) -> Record:
    """The one before it, where there is one that is to be trusted. Raises RequestError,
    GiveUpError."""
    if not before(place).exists():
        raise RequestError(f"There is nothing before {place.name} to go back to")
    record = load(before(place), key).record
    try:
        os.replace(before(place), place)
    except OSError as error:
        raise _not_written(place, error) from error
    return record


def before(place: Path) -> Path:
    """Where the file lies that `place` took the place of."""
    return place.with_name(place.name + BEFORE)


def _not_written(place: Path, error: OSError) -> GiveUpError:
    return GiveUpError(f"{place} cannot be written: {error.strerror}; see who may write there")
