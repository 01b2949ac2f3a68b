"""What a heat pump's source told, as points of the seeds' schema in InfluxDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from core.devices import Device
from core.errors import ConfigurationError
from core.frames import Reading
from core.heatpump.profile import Profile, Register
from sources.http import FILE
from sources.influx_history import TRANSPORT
from sources.influx_writer import line


class PumpPoints:
    """Of one device. pump: the tag `pump`, "" = none. Each channel is told once for each time
    that it was measured at. Raises ConfigurationError for a profile that knows none of them."""

    def __init__(self, measurement: str, device: Device, profile: Profile, pump: str) -> None:
        first: dict[str, Register] = {}
        for register in profile.registers:
            first.setdefault(register.metric, register)
        self._measurement = measurement
        self._registers = [first.get(name) for name in device.quantities]
        if not any(self._registers):
            raise ConfigurationError(FILE, "profile", profile.id, "a profile with registers for "
                                     "what this heat pump measures")
        self._pump = pump
        self._told_at: list[datetime | None] = [None] * len(device.quantities)
        self.without = tuple(name for name in device.quantities if name not in first)

    def lines(self, at: datetime, values: np.ndarray, heard: Sequence[bool]) -> Iterator[bytes]:
        """values: float64[c] in the order of the device's quantities; NaN is no point."""
        at = at.astimezone(UTC)
        for channel, register in enumerate(self._registers):
            known = heard[channel] and np.isfinite(values[channel])
            if register is None or not known or self._told_at[channel] == at:
                continue
            raw = _raw(register, float(values[channel]))
            if raw is not None:
                self._told_at[channel] = at
                yield line(self._measurement, self._tags(register), raw, at)

    def _tags(self, register: Register) -> dict[str, str]:
        return {"name": register.name, "pump": self._pump, "register_id": register.id,
                "type": register.type, "unit": register.unit}


def _raw(register: Register, value: float) -> float | None:
    """As the register itself says it; None for a value that its names do not know."""
    if register.values is None:
        return value / register.scale[TRANSPORT]
    named = (raw for raw, meaning in register.values.items() if meaning == value)
    scaled = next(named, None)
    return None if scaled is None else scaled / register.scale[TRANSPORT]


def heard_of(reading: Reading, size: int) -> tuple[np.ndarray, Sequence[bool]]:
    """The channels of a reading, float64[size], and which of them were heard."""
    values = np.full(size, np.nan) if reading.channels is None else reading.channels
    heard = np.ones(size, dtype=bool) if reading.channels_heard is None else reading.channels_heard
    return values, heard.tolist()
