"""The simulated site: systems of random size, their capacity split down to the cells.

Names, ids and counts are those of the seed document, sections 3.2 and 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.errors import ConfigurationError
from core.topology import Arrangement, Level, NodeSpec

FILE = "orrery.toml"
DEFAULT_COUNTS: dict[str, tuple[int, int]] = {
    "cluster": (2, 4), "rack": (2, 3), "module": (3, 5), "cell": (10, 20),
}
CELL_SPREAD = 0.01
"""Standard deviation of the cells' capacity as a share of their mean."""
MAX_CELLS = 5_000_000
SERIES_LEVELS = 2


@dataclass(frozen=True, slots=True)
class SitePlan:
    """What the fleet is built from; `levels` from the system down.

    counts: one (least, most) for each level below the system. capacity_kwh: (least, most) of
    one system [kWh]. places: (latitude, longitude) [deg] of the first systems. attributes: by
    level and name, values that the children of one parent take in turn.
    """

    levels: tuple[Level, ...]
    counts: tuple[tuple[int, int], ...]
    systems: int
    first_system: int
    capacity_kwh: tuple[float, float]
    chemistries: tuple[str, ...]
    places: tuple[tuple[float, float], ...]
    seed: int
    attributes: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)


def counts_for(levels: Sequence[Level], given: dict[str, tuple[int, int]], systems: int,
               at: str) -> tuple[tuple[int, int], ...]:
    """Children counts of each level below the system; raises ConfigurationError.

    given: by level name; the seed's own counts stand in for what it leaves out.
    at: where the options stand in the configuration, for messages.
    """
    below = [level.name for level in levels[1:]]
    for name in given:
        if name not in below:
            raise ConfigurationError(FILE, f"{at}.counts.{name}", given[name],
                                     "counts of " + (", ".join(below) or "no level"))
    known = DEFAULT_COUNTS | given
    for name in below:
        if name not in known:
            raise ConfigurationError(FILE, f"{at}.counts.{name}", None,
                                     f"[least, most] {name} elements of one parent")
        _check_range(f"{at}.counts.{name}", known[name])
    found = tuple(known[name] for name in below)
    most = systems * math.prod(high for _, high in found)
    if most > MAX_CELLS:
        raise ConfigurationError(FILE, f"{at}.counts", most, f"at most {MAX_CELLS} cells in all")
    return found


def _check_range(key: str, value: tuple[int, int]) -> None:
    if value[0] > value[1]:
        raise ConfigurationError(FILE, key, list(value), "[least, most] with least <= most")


def build(plan: SitePlan) -> list[NodeSpec]:
    """The systems with all that is below them.

    Each system draws from a generator of its own: another one beside it changes nothing.
    Capacities are float64 and add up exactly (1e-9 relative) at every parent.
    """
    roots = [_system(plan, position) for position in range(plan.systems)]
    _attribute(roots, plan.attributes)
    return roots


def _attribute(siblings: Sequence[NodeSpec],
               attributes: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    for position, spec in enumerate(siblings):
        own = attributes.get(spec.level, {})
        if own:
            spec.attributes = {name: values[position % len(values)]
                               for name, values in own.items()}
        _attribute(spec.children, attributes)


def check_attributes(levels: Sequence[Level], attributes: Mapping[str, object], at: str) -> None:
    """Raises ConfigurationError for a level that is not there."""
    names = [level.name for level in levels]
    for name in attributes:
        if name not in names:
            raise ConfigurationError(FILE, f"{at}.attributes.{name}", attributes[name],
                                     "values of " + ", ".join(names))


def _system(plan: SitePlan, position: int) -> NodeSpec:
    number = plan.first_system + position
    rng = np.random.default_rng([plan.seed, number])
    level = plan.levels[0]
    capacity_kwh = float(rng.uniform(*plan.capacity_kwh))
    root = NodeSpec(f"{level.name}_{number}", f"Power {level.title} {number}", level.name,
                    chemistry=plan.chemistries[position % len(plan.chemistries)],
                    note="simulated")
    root.arrangement = arrangement_of(plan.levels, 0)
    if position < len(plan.places):
        root.latitude_deg, root.longitude_deg = plan.places[position]
    _grow(plan, rng, root, depth=0)
    _scale(root, capacity_kwh / root.capacity_kwh)
    root.capacity_kwh = capacity_kwh
    return root


def _grow(plan: SitePlan, rng: np.random.Generator, parent: NodeSpec, depth: int) -> None:
    """Add the children of `parent`; its capacity becomes their sum, in mean cells."""
    if depth == len(plan.counts):
        parent.capacity_kwh = 1.0
        return
    least, most = plan.counts[depth]
    count = int(rng.integers(least, most + 1))
    level = plan.levels[depth + 1]
    parent.children = [
        NodeSpec(f"{parent.id}_{level.name}_{i}", f"{level.title} {i}", level.name,
                 chemistry=parent.chemistry)
        for i in range(count)
    ]
    if depth + 1 == len(plan.counts):
        spread = np.clip(rng.normal(1.0, CELL_SPREAD, count), 0.9, 1.1)
        for child, relative in zip(parent.children, spread.tolist(), strict=True):
            child.capacity_kwh = relative
    else:
        for child in parent.children:
            child.arrangement = arrangement_of(plan.levels, depth + 1)
            _grow(plan, rng, child, depth + 1)
    parent.capacity_kwh = math.fsum(child.capacity_kwh for child in parent.children)


def _scale(node: NodeSpec, factor: float) -> None:
    node.capacity_kwh *= factor
    for child in node.children:
        _scale(child, factor)


def arrangement_of(levels: Sequence[Level], depth: int) -> Arrangement:
    """How the children of an element of `levels[depth]` are wired.

    The lowest two levels of parents hold theirs in series (cells in a module, modules in a
    rack or, where there are strings, in a string), all above in parallel. Their counts are
    random, so racks differ in voltage: each feeds its bus through a converter of its own.
    """
    parents = len(levels) - 1
    if depth >= parents:
        return "none"
    return "series" if depth >= parents - SERIES_LEVELS else "parallel"
