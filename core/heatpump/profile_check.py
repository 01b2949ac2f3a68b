"""What a profile must hold beyond the types of its fields."""

from __future__ import annotations

import math
from collections.abc import Callable

from core.errors import ConfigurationError
from core.heatpump.profile_model import Profile, Register
from core.quantities import OF_HEAT_PUMPS, QUANTITY

NAMES = frozenset(quantity.name for quantity in OF_HEAT_PUMPS)

Refuse = Callable[[str, object, str], ConfigurationError]


def checked(profile: Profile, stem: str, file: str) -> Profile:
    """The profile itself; raises ConfigurationError with the first mistake."""
    def refuse(key: str, value: object, allowed: str) -> ConfigurationError:
        return ConfigurationError(file, key, value, allowed)

    if profile.id != stem:
        raise refuse("id", profile.id, f"{stem!r}, the name of its file; or leave it out")
    _transports(profile, refuse)
    for position, register in enumerate(profile.registers):
        _register(profile, register, f"registers[{position}]", refuse)
    _each_once(profile, refuse)
    _absent(profile, refuse)
    _rest(profile, refuse)
    return profile


def _transports(profile: Profile, refuse: Refuse) -> None:
    if len(set(profile.transports)) < len(profile.transports):
        raise refuse("transports", list(profile.transports), "each transport once")


def _register(profile: Profile, register: Register, at: str, refuse: Refuse) -> None:
    if register.metric not in NAMES:
        raise refuse(f"{at}.metric", register.metric,
                     "a quantity of heat pumps in core/quantities.py")
    if set(register.scale) != set(profile.transports):
        raise refuse(f"{at}.scale", dict(register.scale), "a factor for each of "
                     + ", ".join(profile.transports) + " and for no other transport")
    for transport, factor in register.scale.items():
        if not math.isfinite(factor) or factor == 0:
            raise refuse(f"{at}.scale.{transport}", factor, "a finite number other than 0")
    if not register.verified and not register.note:
        raise refuse(f"{at}.note", register.note, "what is not verified, in words")
    _values(register, at, refuse)


def _values(register: Register, at: str, refuse: Refuse) -> None:
    is_switch = QUANTITY[register.metric].plausible == (0.0, 1.0)
    if register.above_zero_is_on and (register.values is not None or not is_switch):
        raise refuse(f"{at}.above_zero_is_on", True,
                     "false, but for a switch without `values`")
    low, high = QUANTITY[register.metric].plausible
    for raw, value in (register.values or {}).items():
        if not math.isfinite(raw):
            raise refuse(f"{at}.values", raw, "finite numbers")
        if not low <= value <= high:
            raise refuse(f"{at}.values.{raw:g}", value, f"a number from {low:g} to {high:g}")


def _each_once(profile: Profile, refuse: Refuse) -> None:
    seen: set[tuple[str, str]] = set()
    named: dict[str, tuple[str, str]] = {}
    for position, register in enumerate(profile.registers):
        at = f"registers[{position}]"
        if (register.id, register.metric) in seen:
            raise refuse(f"{at}.id", register.id,
                         f"another id: this one already tells {register.metric}")
        seen.add((register.id, register.metric))
        tags = (register.name, register.unit)
        if named.setdefault(register.id, tags) != tags:
            raise refuse(f"{at}.name", register.name,
                         f"the name and unit that register {register.id} already has")


def _absent(profile: Profile, refuse: Refuse) -> None:
    told = {register.metric for register in profile.registers if not register.add_on}
    for name, why in profile.absent.items():
        if name not in NAMES:
            raise refuse(f"absent.{name}", why, "a quantity of heat pumps in core/quantities.py")
        if name in told:
            raise refuse(f"absent.{name}", why, "nothing: a register tells it")


def _rest(profile: Profile, refuse: Refuse) -> None:
    for position, value in enumerate(profile.sentinels):
        if not math.isfinite(value):
            raise refuse(f"sentinels[{position}]", value, "a finite number")
    if not all(name in NAMES and QUANTITY[name].unit == "°C" for name in profile.flow_pair):
        raise refuse("flow_pair", list(profile.flow_pair), "two temperatures of "
                     "core/quantities.py: out of the condenser, into it")
    models = [model.model for model in profile.models]
    for position, model in enumerate(models):
        if model in models[:position]:
            raise refuse(f"models[{position}].model", model, "a name that occurs once")
