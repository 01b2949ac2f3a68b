"""Who plans in the shadow of the one who drives: whom people want there, with the score so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Literal

from core.coordinator.announcing import Announcer
from core.coordinator.currency import reckoned
from core.coordinator.keeping import Keeper
from core.coordinator.plan import CONTROLLERS, Controller
from core.coordinator.ports import Planner
from core.coordinator.problem import Problem
from core.coordinator.records import CoordinatorStore, Minute
from core.coordinator.shadow import Challenger
from core.coordinator.view import Shadow
from core.errors import RetryLaterError


class Rivalry:
    """Of one site, for one thread. limit_s: that a plan may take [s]."""

    def __init__(self, store: CoordinatorStore, site: str, planners: Mapping[Controller, Planner],
                 limit_s: float, keeper: Keeper, announcer: Announcer) -> None:
        self._store, self._site, self._planners, self._limit_s = store, site, planners, limit_s
        self._keeper, self._announcer = keeper, announcer
        self._challenger: Challenger | None = None
        self._wanted: Controller | Literal["not known"] | None = "not known"

    def resume(self) -> None:
        """A score goes on from what was kept last."""
        self._challenger = None

    def run(self, champion: Controller, wanted: Controller | None, currency: str,
            problem: Problem, minutes: Sequence[Minute], now: datetime,
            wear: Mapping[str, float]) -> None:
        """Let the one who is wanted plan for what the champion planned for, and forget the others;
        minutes, wear: as `Challenger.run` takes them."""
        self._forget_all_but(wanted)
        if wanted is None:
            self._challenger = None
            return
        try:
            self._challenger = rival = self._rival(wanted, champion, currency)
        except RetryLaterError:
            return  # and with the next plan
        shadow = rival.run(problem, self._planners, minutes, now, self._limit_s, wear)
        self._keeper.keep(("shadow", wanted), partial(self._store.keep_shadow, self._site, shadow))

    def _forget_all_but(self, wanted: Controller | None) -> None:
        if self._wanted == wanted:
            return
        self._wanted = wanted
        for other in CONTROLLERS:
            if other != wanted:
                self._keeper.keep(("shadow", other), partial(
                    self._store.forget_shadow, self._site, other))

    def _rival(self, wanted: Controller, champion: Controller, currency: str) -> Challenger:
        """With the score that goes on; anew against another champion, and in another currency.
        Raises RetryLaterError."""
        known = self._challenger
        if known is not None and (known.controller, known.champion) != (wanted, champion):
            return Challenger(wanted, champion, currency=currency)
        kept = self._kept(wanted, champion) if known is None else None
        before = known or kept
        if before is not None and before.currency != currency:
            self._announcer.note(
                "info", "the score of the controller in the shadow begins anew: money is "
                        f"{reckoned(currency)}, it was {reckoned(before.currency)}")
            return Challenger(wanted, champion, currency=currency)
        return known or Challenger(wanted, champion, kept, currency)

    def _kept(self, wanted: Controller, champion: Controller) -> Shadow | None:
        """Of the same two, from before a restart."""
        return next((one for one in self._store.shadows(self._site)
                     if (one.controller, one.champion) == (wanted, champion)), None)
