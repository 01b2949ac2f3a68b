"""What an edge device leans on beside its plant: an estimator and a safety monitor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from core.fleet.messages import Condition, PartialLimit, SafetyState
from core.topology import FloatArray
from services.edge.plant import Sample


@dataclass(frozen=True, slots=True)
class Estimate:
    """soc_pct, soh_pct: [%], None where it is not known (law 4). cell_soc_pct: float32[cells]
    with NaN where it is not known, or None."""

    soc_pct: float | None = None
    soh_pct: float | None = None
    cell_soc_pct: FloatArray | None = None


class Estimators(Protocol):
    """Says what cannot be measured of the packs of one process, everything in their order."""

    def update(self, samples: Sequence[Sample], dt_s: float) -> Sequence[Estimate]: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pack may do now. charge_limit_a, discharge_limit_a: magnitudes [A]. reason: why,
    for a person, "" where nothing limits."""

    state: SafetyState
    charge_limit_a: float
    discharge_limit_a: float
    reason: str = ""


class Outcome(NamedTuple):
    """What came of opening the contactors. isolated: at least one is known to be open. words: what
    is wrong with it, "" for nothing."""

    isolated: bool
    words: str


class PackSafety(Protocol):
    """What one pack asks of its safety monitor. No layer above it relaxes what it says."""

    @property
    def cells(self) -> int:
        """How many of the pack are measured."""
        ...

    @property
    def contactors(self) -> tuple[bool, bool]:
        """Whether plus and minus are to be closed."""
        ...

    @property
    def opened_after_s(self) -> float | None:
        """From the last trip or stop to open contactors [s]; None before one, where they did not
        open, and after a restart meanwhile."""
        ...

    @property
    def outcome(self) -> Outcome | None:
        """None while the pack works and while it is being shut down."""
        ...

    def limits(self) -> tuple[PartialLimit, ...]:
        """All limits that were near or in force at the last verdict, by way, the strictest first.
        Asked once a message, so that no decision waits for their words."""
        ...

    def conditions(self) -> tuple[Condition, ...]:
        """All that is wrong now beside the limits of cells. Asked once a message."""
        ...

    def order(self, action: str, by: str) -> str:
        """"controlled_shutdown", "emergency_stop" or "reset" by a person; "" when it is taken,
        else why it is refused."""
        ...


class Safety(Protocol):
    """The safety monitor of the packs of one process; everything in their order."""

    @property
    def timer(self) -> Callable[[], float]:
        """Monotonic seconds."""
        ...

    @property
    def took_s(self) -> float | None:
        """From the arrival of the newest samples to their trip flags [s]; None where nobody times
        it."""
        ...

    def rehearse(self) -> None:
        """Called before samples come, by who needs the decision at once: decides something that
        has no effect, because code and memory that rested for a while are several times
        slower."""
        ...

    def judge(self, samples: Sequence[Sample], estimates: Sequence[Estimate], now_s: float,
              arrived_s: float, bounds_kw: Sequence[float]) -> Sequence[Verdict]:
        """Called with every sample, before anything else is done with it. estimates: of the
        samples before. arrived_s: when the samples came, by `timer`. bounds_kw: the most that
        people allow either way, inf for a pack that nobody bounds."""
        ...

    def settle(self, now_s: float) -> None:
        """Called after each sample, when all that had to follow from it was done: keep what must
        outlive this process."""
        ...
