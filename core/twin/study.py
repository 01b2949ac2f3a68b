"""All that is known of one pack, worked out of its past: health, verdict, fade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from core.errors import RequestError
from core.ports import Series
from core.twin.diagnosis import Verdict, diagnose
from core.twin.fade import Fade, fit_fade
from core.twin.follow import Followed, follow_all
from core.twin.health import by_resistance, health, resistance_by_moves
from core.twin.interval import Interval, weighed
from core.twin.models import Floats
from core.twin.past import Past, Plate

DAY_S = 86_400.0
TOLD_SIGMA = 0.3
"""A resistance whose standard deviation is above tells nothing of a health."""
LEAST_FADE = 0.005
"""A fall of the health below is none that a capacity test could tell."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The short of it. soh: 1 = new, capacity and resistance together; resistance: ohmic, as a
    multiple of the new cell's; capacity: share of the rated one, from `swings` pairs of rests;
    rms_mv: measured less modelled voltage; fade: None where `fade_words` says why."""

    at: datetime
    verdict: Verdict
    soh: Interval
    capacity: Interval
    swings: int
    resistance: Interval
    rms_mv: float
    coverage: float
    fade: Fade | None
    fade_words: str

    @property
    def fade_pct_year(self) -> float:
        """How fast it falls at the end of what is known [% of the new capacity a year], NaN where
        that is not known."""
        if self.fade is None:
            return float("nan")
        at = self.fade.at([self.fade.last_x, self.fade.last_x + 1.0]).value
        return float(100.0 * 365.25 * (at[0] - at[1]))


@dataclass(frozen=True, slots=True)
class Study:
    """The long of it: the record, how the filter followed it, and the health that was told in the
    past (soh_days [d] since the first, soh_share, 1 = new)."""

    judged: Judged
    past: Past
    followed: Followed
    soh_days: Floats
    soh_share: Floats


def studies_of(plates: Sequence[Plate], pasts: Sequence[Past], soh: Sequence[Series],
               resistance: Sequence[Interval], now: datetime) -> list[Study]:
    """pasts: of some hours, all of the same moments; soh: as reported over the whole history;
    resistance: as the filter has it now."""
    followed = follow_all([past.record for past in pasts], [plate.model for plate in plates],
                          [plate.rated_ah for plate in plates], [past.first_soc for past in pasts],
                          [past.mean_temperature_c for past in pasts])
    return [_study(*one, now) for one in zip(plates, pasts, followed, soh, resistance,
                                             strict=True)]


def _study(plate: Plate, past: Past, followed: Followed, soh: Series, resistance: Interval,
           now: datetime) -> Study:
    found = health(past.record, plate.model, plate.rated_ah)
    moves, _ = resistance_by_moves(past.record, followed.soc, plate.model, plate.rated_ah,
                                   past.mean_temperature_c)
    resistance = moves if moves.known and moves.value > 0 else resistance
    known = resistance.known and resistance.sigma <= TOLD_SIGMA
    by_filter = [by_resistance(resistance)] if known else []
    days, share = _told(soh)
    fade, words = _fade(days, share)
    residual = followed.residual_v[np.isfinite(followed.residual_v)]
    judged = Judged(
        now, diagnose(past.record, plate.chemistry, plate.rated_ah, followed.residual_v),
        weighed([found.soh, *by_filter]), found.capacity_ah.times(1.0 / plate.rated_ah),
        found.swings, resistance,
        1000.0 * float(np.sqrt(np.mean(residual**2))) if residual.size else float("nan"),
        past.coverage, fade, words)
    return Study(judged, past, followed, days, share)


def noted(study: Study, notes: tuple[str, ...]) -> Study:
    """With notes on its record in the verdict."""
    if not notes:
        return study
    verdict = replace(study.judged.verdict, notes=notes)
    return replace(study, judged=replace(study.judged, verdict=verdict))


def _told(soh: Series) -> tuple[Floats, Floats]:
    """Days since the first, and health as a share."""
    known = np.isfinite(soh.mean)
    times = soh.time_s[known]
    days = (times - times[0]) / DAY_S if times.size else times
    return days, soh.mean[known].astype(np.float64) / 100.0


def _fade(days: Floats, share: Floats) -> tuple[Fade | None, str]:
    """What its past health says of its future, or why it says nothing."""
    if not days.size:
        return None, "nobody reports its health, and no capacity was measured often enough"
    fallen = float(np.median(share[:max(1, share.size // 10)])
                   - np.median(share[-max(1, share.size // 10):]))
    span = f"{days[-1]:.0f} days" if days[-1] >= 2 else f"{24 * days[-1]:.0f} hours"
    if fallen < LEAST_FADE:
        return None, f"health fell by less than 0.5 % in the {span} that are known"
    try:
        return fit_fade(days, share), ""
    except RequestError as error:
        return None, str(error)
