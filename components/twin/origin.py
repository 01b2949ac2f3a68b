"""Where the parameters of an ageing run come from, and how far its pace can be trusted."""

from __future__ import annotations

import math

from components import blocks, formats
from components.blocks import Html
from core.twin.interval import SIGMAS
from core.twin.life import LAB_LOSS_PCT, pace_sigma
from core.twin.tasks import ForecastResult

LABELS = {"own": "Own parameters, uncalibrated", "grafted": "Grafted, uncalibrated"}
FITTED_LABELS = {"own": "Cell calibrated on this pack, ageing the set's own",
                 "grafted": "Cell calibrated on this pack, ageing grafted"}
WORDS = {"own": "Its ageing parameters are the set's own, of one make of cell.",
         "grafted": "Its ageing parameters are borrowed from another chemistry."}
FITTED = "It begins with the active material and contacts that the calibration found in this " \
         "pack; no calibration fits how fast it ages."


def pill(run: ForecastResult) -> Html:
    """Of the cell that the run begins with, and of its ageing parameters."""
    return blocks.pill("plain", (FITTED_LABELS if run.calibrated else LABELS)[run.origin or "own"])


def words(chemistry: str, run: ForecastResult) -> str:
    """Set, origin, and how its pace compares with cells that were measured."""
    parts = [f"{run.parameter_set}.", WORDS[run.origin or "own"]]
    if run.calibrated:
        parts.append(FITTED)
    if run.note:
        parts.append(f"{run.note[:1].upper()}{run.note[1:]}.")
    whose = "" if chemistry in LAB_LOSS_PCT else \
        f"; none is of {chemistry}, so that the least sure of the other chemistries counts"
    parts.append("Interval: its loss may be "
                 f"{formats.number(math.exp(SIGMAS * pace_sigma(chemistry)), 1)} times as large or "
                 f"small, by NREL's models of laboratory cells{whose}.")
    if run.cached:
        parts.append("This run was kept from before.")
    return " ".join(parts)
