"""All that is known of one pack, worked out of its past: health, verdict, fade."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np

from core.errors import RequestError
from core.ports import Series
from core.twin.diagnosis import Verdict, Word, diagnose
from core.twin.drift import drift_after
from core.twin.fade import Fade, fit_fade
from core.twin.follow import Followed, follow_all
from core.twin.health import Health, by_resistance, health, resistance_by_moves
from core.twin.interval import UNKNOWN, Interval, weighed
from core.twin.models import Floats
from core.twin.past import Past, Plate
from core.twin.promises import Known, lives_of
from core.twin.record import Record
from core.twin.tasks import ForecastResult
from core.twin.trend import DAY_S, NO_TREND, YEAR_S, Line, Trend, growth, remembered

TOLD_SIGMA = 0.3
"""A resistance whose standard deviation is above tells nothing of a health."""
LEAST_FADE = 0.005
"""A fall of the health below is none that a capacity test could tell."""


FadeBy = Literal["", "reported", "estimated"]
SOUND: frozenset[Word] = frozenset({"agrees", "drifting"})
"""What another model than the pack's own finds is not kept of it. Of too little data what goes on
from look to look is: its charge is counted, and what is usual of it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The short of it. soh: 1 = new, capacity and resistance together; resistance: ohmic, as a
    multiple of the new cell's; capacity: share of the rated one, the surest that was found, with
    its error as it is now, at `capacity_at`; swings: pairs of rests of the last hours; rms_mv:
    measured less modelled voltage; fade: None where `fade_words` says why; fade_by: whose health
    it goes by, the devices' or the twin's own capacities; resistance_growth: of the multiple a
    year."""

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
    fade_by: FadeBy = ""
    capacity_at: datetime | None = None
    resistance_growth: Interval = UNKNOWN

    @property
    def fade_year(self) -> Interval:
        """How fast it falls at the end of what is known [share of the new capacity a year]."""
        return UNKNOWN if self.fade is None else self.fade.coming.times(YEAR_S / DAY_S)

    @property
    def fade_pct_year(self) -> float:
        """Of `fade_year` [%], NaN where that is not known."""
        return 100.0 * self.fade_year.value


def capacity_left(judged: Judged | None, reported: float) -> Interval:
    """Share of the rated capacity that a life to 80 % of it begins at: as the twin found it, else
    the health that devices report (1 = new, NaN = none), without an interval, else that of capacity
    and resistance together; UNKNOWN where nothing tells."""
    if judged is not None and judged.capacity.known:
        return judged.capacity
    if math.isfinite(reported):
        return Interval(reported, reported, reported)
    return UNKNOWN if judged is None else judged.soh


@dataclass(frozen=True, slots=True)
class Study:
    """The long of it: the record, how the filter followed it, the health that the law of its fade
    goes by (soh_days [d] since the first, soh_share, 1 = new), and all that the twin found of it
    over the years. sound: what was found now is worth to be kept; counted_ah: by what the filter
    counted its charge, NaN = as rated."""

    judged: Judged
    past: Past
    followed: Followed
    soh_days: Floats
    soh_share: Floats
    trend: Trend = NO_TREND
    sound: bool = True
    counted_ah: float = float("nan")


def studies_of(plates: Sequence[Plate], pasts: Sequence[Past], soh: Sequence[Series],
               resistance: Sequence[Interval], now: datetime,
               trends: Sequence[Trend] | None = None,
               counted: Sequence[Record | None] | None = None) -> list[Study]:
    """pasts: of some hours, all of the same moments; soh: as reported over the whole history;
    resistance: as the filter has it now; trends: what was found before, None = nothing; counted:
    longer records to count charge by, None = those of the pasts."""
    before = [NO_TREND] * len(plates) if trends is None else trends
    followed = follow_all([past.record for past in pasts], [plate.model for plate in plates],
                          [plate.rated_ah for plate in plates], [past.first_soc for past in pasts],
                          [past.mean_temperature_c for past in pasts],
                          [_holds_ah(*one, now) for one in zip(plates, before, strict=True)])
    longer = [None] * len(plates) if counted is None else counted
    packs = zip(plates, pasts, followed, soh, resistance, strict=True)
    return [_study(*one, *kept, now) for one, kept in zip(
        packs, zip(before, longer, strict=True), strict=True)]


def _holds_ah(plate: Plate, trend: Trend, now: datetime) -> float:
    """By what its charge is counted [Ah], NaN = as rated."""
    found = remembered(trend.capacity, now.timestamp())
    return found.capacity.value * plate.rated_ah if found.counts else float("nan")


def _study(plate: Plate, past: Past, followed: Followed, soh: Series, resistance: Interval,
           before: Trend, counted: Record | None, now: datetime) -> Study:
    found = health(past.record, plate.model, plate.rated_ah, before.count, counted)
    moves, _ = resistance_by_moves(past.record, followed.soc, plate.model, plate.rated_ah,
                                   past.mean_temperature_c)
    resistance = moves if moves.known and moves.value > 0 else resistance
    told = resistance if resistance.known and resistance.sigma <= TOLD_SIGMA else UNKNOWN
    trend, health_now = _with(before, found, told, plate.rated_ah, now.timestamp())
    capacity = remembered(trend.capacity, now.timestamp())
    days, share, by = _told(soh, trend.capacity)
    fade, words = _reported_fade(days, share) if by == "reported" else _own_fade(trend.capacity)
    residual = followed.residual_v[np.isfinite(followed.residual_v)]
    drift = drift_after(before.drift, past.record.time_s, followed.residual_v)
    verdict = diagnose(past.record, plate.chemistry, plate.rated_ah, drift)
    sound = verdict.word in SOUND
    if verdict.word == "too_little_data":
        trend, sound = replace(before, count=found.count), True
    trend = replace(trend, drift=drift)
    judged = Judged(
        now, verdict, health_now, capacity.capacity, len(found.swings), resistance,
        1000.0 * float(np.sqrt(np.mean(residual**2))) if residual.size else float("nan"),
        past.coverage, fade, words, by, capacity.at, growth(trend.resistance))
    return Study(judged, past, followed, days, share, trend, sound,
                 _holds_ah(plate, before, now))


def promised(study: Study, run: ForecastResult | None, chemistry: str, soh: Series) -> Study:
    """With what is foretold of it now, and what met its truth. run: its ageing run, None without
    one; soh: as reported over the whole history."""
    judged, trend, now_s = study.judged, study.trend, study.judged.at.timestamp()
    told = np.isfinite(soh.mean)
    reported = bool(told.any())
    share = soh.mean[told].astype(np.float64) / 100.0
    known = Known(True, soh.time_s[told], share, np.zeros(share.size)) if reported else \
        Known(False, trend.capacity.time_s, trend.capacity.value, trend.capacity.sigma)
    begins = Interval(*[float(share[-1])] * 3) if reported else judged.capacity
    promises = trend.promises.met(known, now_s)
    if begins.known and promises.due(now_s, judged.fade, run):
        promises = promises.with_new(now_s, reported, begins,
                                     lives_of(judged.fade, run, chemistry, begins))
    return replace(study, trend=replace(trend, promises=promises))


def recounted(study: Study, before: Trend) -> Study:
    """Its charge is counted again at the next look, from where it was before."""
    return replace(study, trend=replace(study.trend, count=before.count))


def noted(study: Study, notes: tuple[str, ...]) -> Study:
    """With notes on its record in the verdict."""
    if not notes:
        return study
    verdict = replace(study.judged.verdict, notes=notes)
    return replace(study, judged=replace(study.judged, verdict=verdict))


def _with(before: Trend, found: Health, resistance: Interval, rated_ah: float,
          now_s: float) -> tuple[Trend, Interval]:
    """What is known of a pack with what was found now, and its health by that."""
    shares = [swing.capacity_ah.times(1.0 / rated_ah) for swing in found.swings]
    capacity = before.capacity.added(
        Line.of([swing.from_s for swing in found.swings], [one.value for one in shares],
                [one.sigma for one in shares]), now_s)
    soh = weighed([remembered(capacity, now_s).capacity, by_resistance(found.resistance),
                   by_resistance(resistance)])
    return replace(before, capacity=capacity, soh=_and(before.soh, soh, now_s), count=found.count,
                   resistance=_and(before.resistance, resistance, now_s)), soh


def _and(line: Line, found: Interval, now_s: float) -> Line:
    return line.added(Line.of([now_s], [found.value], [found.sigma]), now_s)


def _told(soh: Series, capacity: Line) -> tuple[Floats, Floats, FadeBy]:
    """Days since the first, and health as a share: as reported, else by the twin's own
    capacities."""
    known = np.isfinite(soh.mean)
    times = soh.time_s[known]
    if times.size:
        return (times - times[0]) / DAY_S, soh.mean[known].astype(np.float64) / 100.0, "reported"
    own = capacity.daily()
    return own.days, own.value, "estimated" if own.time_s.size else ""


def _own_fade(capacity: Line) -> tuple[Fade | None, str]:
    """What the twin's own capacities say of the future, or why they say nothing."""
    told = capacity.daily()
    if not told.time_s.size:
        return None, "nobody reports its health, and no capacity was measured often enough"
    found = told.time_s.size
    try:
        fade = fit_fade(told.days, told.value, told.sigma)
    except RequestError:
        return None, f"nobody reports its health, and a capacity was found on {found} " \
                     f"{'day' if found == 1 else 'days'} only; a law takes three"
    if fade.rate.low <= 0:
        return None, f"its capacity was found on {found} days within {told.days[-1] + 1:.0f} and " \
                     "fell by less than its error tells"
    return fade, ""


def _reported_fade(days: Floats, share: Floats) -> tuple[Fade | None, str]:
    """What its reported health says of its future, or why it says nothing."""
    fallen = float(np.median(share[:max(1, share.size // 10)])
                   - np.median(share[-max(1, share.size // 10):]))
    span = f"{days[-1]:.0f} days" if days[-1] >= 2 else f"{24 * days[-1]:.0f} hours"
    if fallen < LEAST_FADE:
        return None, f"health fell by less than 0.5 % in the {span} that are known"
    try:
        return fit_fade(days, share), ""
    except RequestError as error:
        return None, str(error)
