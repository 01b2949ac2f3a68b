"""Profiles of heat pumps: what each brand's registers mean, as data (law 11).

A profile is one YAML file, of `core/profiles/heat_pumps` or of a person's own; a new brand needs
no code. Everything in it is checked; a mistake names file, key, value and what is allowed.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec

from core.devices import Device
from core.errors import ConfigurationError
from core.heatpump.profile_check import checked
from core.heatpump.profile_model import (
    Alarms,
    Model,
    Point,
    Profile,
    Register,
    SharedCodes,
    Transport,
)
from core.houses import HouseId
from core.parsing import as_model, read_yaml
from core.pump import AlarmTable, PerformanceMap, PerformancePoint, Pump

__all__ = ["Alarms", "Model", "Point", "Profile", "PumpOptions", "Register", "Transport",
           "alarm_table", "device_of", "load_profile", "profile_ids", "pump_of",
           "require_transport"]

DIRECTORY = Path(__file__).parent.parent / "profiles" / "heat_pumps"
ALARMS = DIRECTORY / "alarms"
SUFFIX = ".yaml"
LARGEST_BYTES = 512 * 1024
OWN_MODEL = "points of your own"

DeviceId = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,63}\Z")]


class PumpOptions(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the configuration may say of any heat pump, whatever its source.

    profile: id of a profile, or the path of a YAML file. device: its id, default the house's id
    and "_heat_pump". model: one of the profile's models, or with `performance` any name.
    auxiliary_kw: rated power of the auxiliary heater [kW], 0 = it has none. assumed_flow_lpm:
    water's flow while the compressor runs [l/min]. performance: points of a map of its own.
    """

    profile: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    house: HouseId = "home"
    device: DeviceId | None = None
    label: Annotated[str, msgspec.Meta(max_length=60)] = ""
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] | None = None
    auxiliary_kw: Annotated[float, msgspec.Meta(ge=0, le=200)] | None = None
    assumed_flow_lpm: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None
    performance: Annotated[list[Point], msgspec.Meta(min_length=1, max_length=100)] | None = None


def profile_ids() -> tuple[str, ...]:
    """Ids of the profiles that Orrery brings along, in the alphabet's order."""
    return tuple(sorted(path.stem for path in DIRECTORY.glob(f"*{SUFFIX}")))


def load_profile(name_or_path: str) -> Profile:
    """A profile by its id, or from a path that ends in ".yaml"; raises ConfigurationError."""
    if name_or_path.endswith(SUFFIX):
        return _read(Path(name_or_path), name_or_path)
    if name_or_path not in profile_ids():
        raise ConfigurationError("orrery.toml", "profile", name_or_path[:80], "one of "
                                 + ", ".join(profile_ids()) + f", or a path that ends in {SUFFIX}")
    return _brought(name_or_path)


@cache
def _brought(name: str) -> Profile:
    return _read(DIRECTORY / f"{name}{SUFFIX}", f"{name}{SUFFIX}")


def _read(path: Path, file: str) -> Profile:
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(file, "file", reason, "a readable file") from error
    if size > LARGEST_BYTES:
        raise ConfigurationError(file, "file", f"{size} bytes",
                                 f"a profile of at most {LARGEST_BYTES} bytes")
    told = read_yaml(path)
    if not isinstance(told, dict):
        raise ConfigurationError(file, "file", told, "a mapping with the keys of a profile")
    profile = checked(as_model({"id": path.stem, **told}, Profile, file), path.stem, file)
    return msgspec.structs.replace(profile, alarms=_with_shared(profile.alarms, file))


def _with_shared(alarms: Alarms, file: str) -> Alarms:
    """The alarms with the codes of the shared table that they name; their own go first."""
    if alarms.table is None:
        return alarms
    known = sorted(path.stem for path in ALARMS.glob(f"*{SUFFIX}"))
    if alarms.table not in known:
        raise ConfigurationError(file, "alarms.table", alarms.table, "one of " + ", ".join(known))
    shared = as_model(read_yaml(ALARMS / f"{alarms.table}{SUFFIX}"), SharedCodes,
                      f"alarms/{alarms.table}{SUFFIX}")
    return msgspec.structs.replace(
        alarms, codes={**shared.codes, **alarms.codes},
        not_alarms=tuple(dict.fromkeys((*alarms.not_alarms, *shared.not_alarms))))


def require_transport(profile: Profile, transport: Transport, at: str, file: str) -> None:
    """Raises ConfigurationError where a profile has no scales for how a source reads it."""
    if transport not in profile.transports:
        raise ConfigurationError(
            file, f"{at}.profile", profile.id, f"a profile with scales for {transport!r}; this "
            "one has them for " + ", ".join(profile.transports))


def alarm_table(profile: Profile) -> AlarmTable:
    """The profile's alarms as the rest of the house knows them."""
    told = profile.alarms
    return AlarmTable(told.codes, told.cited, told.rule, told.bits, frozenset(told.not_alarms))


def pump_of(profile: Profile, options: PumpOptions, at: str, file: str) -> Pump:
    """What is known of the pump; raises ConfigurationError for a model without a map."""
    performance = _performance(profile, options, at, file)
    return Pump(
        profile.id, profile.brand, options.model or "", profile.interface, profile.medium,
        alarm_table(profile), profile.flow_pair, _or_nan(options.auxiliary_kw),
        _or_nan(options.assumed_flow_lpm), performance, profile.electricity_has_auxiliary,
        profile.heat_has_auxiliary,
        dict(profile.absent), _doubts(profile, performance))


def device_of(options: PumpOptions, profile: Profile, at: str, file: str) -> Device:
    """The device of a pump: quantities of its registers in order, each once; raises
    ConfigurationError as `pump_of` does."""
    quantities = tuple(dict.fromkeys(register.metric for register in profile.registers))
    return Device(
        options.device or f"{options.house}_heat_pump", options.house, "heat_pump",
        options.label or profile.label, quantities, native_sign="discharge",
        pump=pump_of(profile, options, at, file))


def _performance(profile: Profile, options: PumpOptions, at: str,
                 file: str) -> PerformanceMap | None:
    if options.performance is not None:
        return _map(options.model or OWN_MODEL, "orrery.toml", options.performance)
    if options.model is None:
        return None
    for model in profile.models:
        if model.model == options.model:
            return _map(model.model, model.cited, model.points)
    known = ", ".join(model.model for model in profile.models) or "none yet"
    raise ConfigurationError(
        file, f"{at}.model", options.model, f"a model whose performance the profile "
        f"{profile.id} knows ({known}), or a name of your own together with `performance`; "
        "to give the pump a name alone, use `label`")


def _map(model: str, cited: str, points: list[Point] | tuple[Point, ...]) -> PerformanceMap:
    return PerformanceMap(model, cited, tuple(
        PerformancePoint(point.source_c, point.flow_c, point.cop, _or_nan(point.heat_kw))
        for point in points))


def _doubts(profile: Profile, performance: PerformanceMap | None) -> tuple[str, ...]:
    """The profile's own, one for all registers whose notes say the same, one for a flat map."""
    noted: dict[str, list[str]] = {}
    for register in profile.registers:
        if not register.verified:
            noted.setdefault(register.note, []).append(f"{register.id} ({register.name})")
    told = [*profile.doubts, *(", ".join(dict.fromkeys(named)) + f": {note}."
                               for note, named in noted.items())]
    if performance is not None:
        told += [f"The performance map of {performance.model} has points at one {what} only: what "
                 "another one changes is not in it." for what in _only_one(performance)]
    return tuple(told)


def _only_one(performance: PerformanceMap) -> list[str]:
    points = performance.points
    return [what for what, told in (
        ("source temperature", {point.source_c for point in points}),
        ("flow temperature", {point.flow_c for point in points})) if len(told) == 1]


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
