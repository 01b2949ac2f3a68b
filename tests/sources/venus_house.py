"""An engine over one Venus source, for tests that ask what a person would see."""

from __future__ import annotations

from collections.abc import Callable

from core.engine import Engine, Snapshot
from core.frames import Frame
from core.topology import DEFAULT_LEVELS
from sources.venus_mqtt import Options, VenusSource, create
from tests.sources.mosquitto import until
from tests.sources.venus_player import TinyVenus

SYSTEM = "system_victron"


class House:
    """An engine over one source; ends what it started."""

    def __init__(self, chosen: Options) -> None:
        self.source: VenusSource = create("victron", chosen, DEFAULT_LEVELS)
        self.engine = Engine(DEFAULT_LEVELS, [self.source])

    def tick(self) -> Snapshot:
        return self.engine.tick()

    def value(self, metric: str, number: int = 0) -> float:
        """Of battery `number`, after one more tick."""
        return self.frame_value(self.tick().frame, metric, number)

    def frame_value(self, frame: Frame, metric: str, number: int = 0) -> float:
        return frame.value(metric, self.engine.topology.index(f"{SYSTEM}_cluster_{number}"))

    def stale(self, number: int = 0) -> bool:
        node = self.engine.topology.index(f"{SYSTEM}_cluster_{number}")
        return bool(self.tick().frame.stale[node])

    def channel(self, device: str, quantity: str) -> float:
        """What device `home_victron_<device>` tells, after one more tick; NaN = missing."""
        return float(self.tick().devices.values[self._at(device, quantity)])

    def channel_stale(self, device: str, quantity: str = "soc_pct") -> bool:
        return bool(self.tick().devices.stale[self._at(device, quantity)])

    def _at(self, device: str, quantity: str) -> int:
        return self.engine.devices.index(f"home_victron_{device}", quantity)

    def state(self) -> str:
        return self.tick().sources[0].state

    def error(self) -> str:
        return self.tick().sources[0].error

    def live(self) -> None:
        until(lambda: self.state() == "live", "the source is live: " + self.error())


MakeVenus = Callable[..., TinyVenus]
MakeHouse = Callable[..., House]
