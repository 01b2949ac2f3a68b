"""What real heat pumps reach: quantiles of the systems that people share in public."""

from __future__ import annotations

from dataclasses import dataclass

from core.pump import Medium

CITED = ("heatpumpmonitor.org, export of 2026-07-15, systems with more than 290 days of data: "
         "304 air source, 7 ground source")


@dataclass(frozen=True, slots=True)
class Quantiles:
    """p10, median and p90; p10 and p90 are NaN where only the median is told."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Population:
    """systems: how many. spf: seasonal performance factor of all; space_spf, water_spf: apart;
    starts_per_hour: compressor starts over elapsed hours; carnot_share: 0 to 1; flow_c: mean
    flow temperature [degC]. few: so few systems that the quantiles are only a hint."""

    medium: Medium
    systems: int
    spf: Quantiles
    space_spf: Quantiles
    water_spf: Quantiles
    starts_per_hour: Quantiles
    carnot_share: Quantiles
    flow_c: Quantiles
    few: bool
    cited: str = CITED


NAN = float("nan")

AIR = Population(
    "air", 304, Quantiles(3.32, 4.00, 4.60), Quantiles(NAN, 4.25, NAN),
    Quantiles(NAN, 3.09, NAN), Quantiles(0.13, 0.27, 0.58), Quantiles(0.44, 0.48, 0.53),
    Quantiles(NAN, 34.7, NAN), False)
BRINE = Population(
    "brine", 7, Quantiles(3.33, 4.71, 5.75), Quantiles(NAN, 5.04, NAN),
    Quantiles(NAN, 3.53, NAN), Quantiles(0.06, 0.09, 0.31), Quantiles(NAN, 0.53, NAN),
    Quantiles(NAN, NAN, NAN), True)


def population_of(medium: Medium) -> Population:
    """The systems to compare a pump with."""
    return BRINE if medium == "brine" else AIR
