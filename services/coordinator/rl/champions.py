"""Who has to be beaten: whoever costs least on the fixed days, the policy in force included."""

from __future__ import annotations

from collections.abc import Mapping

from core.coordinator.actor import Actor
from core.coordinator.alone import EDGE, MOST
from core.coordinator.learnt import SITE
from core.coordinator.problem import Floats
from services.coordinator.rl.days import Days
from services.coordinator.rl.evaluate import at_the_edge, by_policy

AT_REST = "packs at rest"


def champion(held: Mapping[str, Floats]) -> tuple[str, Floats]:
    """Name and costs [days] of the cheapest; held: of each by name."""
    return min(held.items(), key=lambda one: float(one[1].mean()))


def in_force(days: Days, actor: Actor | None) -> dict[str, dict[str, Floats]]:
    """What the policy that drives now costs on these days, by role and name; nothing where it may
    not drive."""
    found: dict[str, dict[str, Floats]] = {SITE: {}, EDGE: {}}
    if actor is None:
        return found
    name = f"the policy in force ({actor.record.version})"
    if _let(actor, SITE):
        found[SITE] = {name: by_policy(days, actor.act).costs}
    if _let(actor, EDGE):
        found[EDGE] = {name: at_the_edge(days, actor.act, actor.typical, MOST).costs}
    return found


def _let(actor: Actor, role: str) -> bool:
    verdict = actor.record.verdict(role)
    return verdict is not None and verdict.deployed
