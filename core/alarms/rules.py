"""How hastily each condition is told, from `core/profiles/alarm_rules.yaml`."""

from __future__ import annotations

from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated

import msgspec

from core.errors import ConfigurationError
from core.parsing import as_model, read_yaml

PROFILE = Path(__file__).parents[1] / "profiles" / "alarm_rules.yaml"

Seconds = Annotated[float, msgspec.Meta(ge=0, le=604_800)]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one condition. Delays [s]; realarm_s 0: never asks again. hides: conditions that are
    its consequences on the same element and below it."""

    words: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    on_delay_s: Seconds
    off_delay_s: Seconds
    realarm_s: Seconds
    latched: bool = False
    hides: tuple[str, ...] = ()


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The profile file. longest_shelf_s: nothing is shelved for longer [s]."""

    longest_shelf_s: Annotated[float, msgspec.Meta(gt=0, le=604_800)]
    default: Rule
    conditions: dict[str, Rule]

    def of(self, condition: str) -> Rule:
        """The default for a condition that the profile does not name."""
        return self.conditions.get(condition, self.default)

    def words(self, condition: str) -> str:
        """As in a sentence: "too hot"."""
        rule = self.conditions.get(condition)
        return condition.replace("_", " ") if rule is None else rule.words

    @property
    def causes(self) -> dict[str, frozenset[str]]:
        """Consequence -> the conditions that explain it."""
        found: dict[str, set[str]] = {}
        for cause, rule in self.conditions.items():
            for consequence in rule.hides:
                found.setdefault(consequence, set()).add(cause)
        return {consequence: frozenset(names) for consequence, names in found.items()}


@cache
def alarm_rules(path: Path = PROFILE) -> Rules:
    """The profile at `path`; raises ConfigurationError, also where two conditions explain
    each other: both would be hidden."""
    rules = as_model(read_yaml(path), Rules, path.name)
    graph = {name: set(rule.hides) - {name} for name, rule in rules.conditions.items()}
    for name, hidden in graph.items():
        for other in hidden - set(rules.conditions):
            raise ConfigurationError(path.name, f"conditions.{name}.hides", other,
                                     "one of " + ", ".join(rules.conditions))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise ConfigurationError(path.name, "conditions", " hides ".join(error.args[1]),
                                 "causes that do not explain each other in a circle") from error
    return rules
