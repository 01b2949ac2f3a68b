"""What outlives a restart of the twin: calibrations, and the parameter files and recordings that
people gave it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, TypeVar

import msgspec
from msgspec import Meta

from core.errors import GiveUpError, RequestError
from core.twin.tasks import MOST_TEXT, CalibrationResult, Chemistry, Fitted

VERSION = 1
Kind = Literal["calibration", "parameters", "recording"]
Name = Annotated[str, Meta(max_length=200)]
Version = Annotated[int, Meta(ge=VERSION, le=VERSION)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No further fields, no other types."""


class Calibration(_Strict, frozen=True, kw_only=True):
    """What was accepted for one pack. by: who asked, "" where nobody signs in. digest: of the
    parameter file that was fitted, "" for the chemistry's own set; it counts for no other.
    ..._mv: residuals before and after, root mean square, where it was fitted and on what it had
    not seen."""

    v: Version = VERSION
    pack: str
    chemistry: Chemistry
    made_s: float
    by: Name = ""
    digest: str = ""
    parameter_set: str
    parameters: dict[str, Fitted]
    words: str = ""
    rms_before_mv: float | None = None
    rms_after_mv: float | None = None
    unseen_before_mv: float | None = None
    unseen_after_mv: float | None = None
    solves: int = 0
    cpu_s: float | None = None

    @property
    def fitted(self) -> dict[str, float]:
        return {name: told.after for name, told in self.parameters.items()}


class ParameterFile(_Strict, frozen=True, kw_only=True):
    """A BPX file. about: the pack's id, or a chemistry, as `about_chemistry` writes it. title: the
    file's own; low_v, high_v, capacity_ah: of its cell."""

    v: Version = VERSION
    about: str
    name: Name
    made_s: float
    by: Name = ""
    text: Annotated[str, Meta(max_length=MOST_TEXT)]
    title: Name = ""
    low_v: float
    high_v: float
    capacity_ah: float

    @property
    def digest(self) -> str:
        return digest_of(self.text)


class Recording(_Strict, frozen=True, kw_only=True):
    """A cell's own record out of a file: columns of float32 on an even grid, + discharging.
    capacity_ah: of the recorded cell, None = as a cell of the pack."""

    v: Version = VERSION
    pack: str
    name: Name
    made_s: float
    by: Name = ""
    step_s: float
    current_a: bytes
    voltage_v: bytes
    temperature_c: float | None = None
    capacity_ah: float | None = None
    note: str = ""


class KeptFiles(Protocol):
    """Payloads by kind and name; whole or not at all."""

    def find(self, kind: Kind, name: str) -> bytes | None:
        """None where there is none. Raises GiveUpError for a damaged one, RetryLaterError where
        nothing can be read."""
        ...

    def save(self, kind: Kind, name: str, payload: bytes) -> None:
        """In place of the one before. Raises RetryLaterError."""
        ...

    def remove(self, kind: Kind, name: str) -> None:
        """Also a damaged one. Raises RetryLaterError."""
        ...


class InMemory:
    """Of a site without history: until the end of the process."""

    def __init__(self) -> None:
        self._payloads: dict[tuple[Kind, str], bytes] = {}

    def find(self, kind: Kind, name: str) -> bytes | None:
        return self._payloads.get((kind, name))

    def save(self, kind: Kind, name: str, payload: bytes) -> None:
        self._payloads[kind, name] = payload

    def remove(self, kind: Kind, name: str) -> None:
        self._payloads.pop((kind, name), None)


_Told = TypeVar("_Told", Calibration, ParameterFile, Recording)
_KINDS: Mapping[type[_Strict], Kind] = {Calibration: "calibration", ParameterFile: "parameters",
                                        Recording: "recording"}


@dataclass(frozen=True, slots=True)
class Own:
    """By what one pack is modelled instead of its chemistry's own set. damaged: what of it cannot
    be read, in words; then the chemistry's own counts."""

    file: ParameterFile | None
    calibration: Calibration | None
    recording: Recording | None
    damaged: str = ""

    @property
    def digest(self) -> str:
        return "" if self.file is None else self.file.digest

    @property
    def fitted(self) -> Mapping[str, float]:
        """Of a calibration of the set that counts; else nothing."""
        if self.calibration is None or self.calibration.digest != self.digest:
            return {}
        return self.calibration.fitted

    @property
    def fitted_to_age(self) -> Mapping[str, float]:
        """What an ageing run begins with: a parameter file has no ageing parameters, and shares of
        its cell's active material say nothing of the chemistry's own cell."""
        return self.fitted if self.file is None else {}


class Shelf:
    """For any threads; each thing is read once."""

    def __init__(self, files: KeptFiles | None = None) -> None:
        """files: None keeps all until the end of the process."""
        self.outlives = files is not None
        self._files: KeptFiles = files or InMemory()
        self._read: dict[tuple[Kind, str], _Strict | str | None] = {}
        self._lock = threading.Lock()

    def own(self, pack: str, chemistry: str) -> Own:
        """What counts for a pack: a parameter file of its own goes before its chemistry's. Raises
        RetryLaterError."""
        damaged: list[str] = []
        file = self._found(ParameterFile, pack, damaged) or \
            self._found(ParameterFile, about_chemistry(chemistry), damaged)
        return Own(file, self._found(Calibration, pack, damaged),
                   self._found(Recording, pack, damaged), "; ".join(damaged))

    def _found(self, kind: type[_Told], name: str, damaged: list[str]) -> _Told | None:
        key = _KINDS[kind], name
        with self._lock:
            if key not in self._read:
                self._read[key] = self._load(kind, name)
            found = self._read[key]
        if isinstance(found, str):
            damaged.append(found)
        return found if isinstance(found, kind) else None

    def _load(self, kind: type[_Told], name: str) -> _Told | str | None:
        try:
            payload = self._files.find(_KINDS[kind], name)
            return None if payload is None else msgspec.msgpack.decode(payload, type=kind)
        except (GiveUpError, msgspec.MsgspecError) as error:
            return f"the kept {_KINDS[kind]} is damaged ({error})"

    def keep(self, told: Calibration | ParameterFile | Recording) -> None:
        """Raises RetryLaterError."""
        kind = _KINDS[type(told)]
        name = told.about if isinstance(told, ParameterFile) else told.pack
        with self._lock:
            self._files.save(kind, name, msgspec.msgpack.encode(told))
            self._read[kind, name] = told

    def drop(self, kind: Kind, name: str) -> None:
        """Raises RetryLaterError."""
        with self._lock:
            self._files.remove(kind, name)
            self._read[kind, name] = None


def calibration_of(result: CalibrationResult, chemistry: str, by: str,
                   made_s: float) -> Calibration:
    """An accepted one as it is kept."""
    return Calibration(
        pack=result.pack, chemistry=chemistry, made_s=made_s, by=by,  # type: ignore[arg-type]
        digest=result.digest, parameter_set=result.parameter_set, parameters=result.parameters,
        words=result.words, rms_before_mv=result.rms_before_mv, rms_after_mv=result.rms_after_mv,
        unseen_before_mv=result.unseen_before_mv, unseen_after_mv=result.unseen_after_mv,
        solves=result.solves, cpu_s=result.cpu_s)


def about_chemistry(chemistry: str) -> str:
    """The name of what counts for all packs of a chemistry: no id has a space."""
    return f"all {chemistry}"


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def plain_name(name: str) -> str:
    """Of a file that a person gave: printable, without a folder. Raises RequestError for none."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(letter for letter in last if letter.isprintable()).strip()[:200]
    if not plain:
        raise RequestError("the file has no name")
    return plain
