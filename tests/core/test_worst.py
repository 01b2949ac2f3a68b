"""The worst leaf equals a search over all leaves, one by one, on sites of any shape."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings

from core.find import BY_NAME, QUESTIONS, find, levels_below
from core.frames import Frame
from core.reach import reach
from core.topology import DEFAULT_LEVELS, Topology
from core.worst import NO_NODE, worst, worst_of_children
from tests.core.random_sites import LAST, random_site, seeds

METRICS = ("voltage_v", "temperature_c", "soc_pct")
Told = list[tuple[float, int]]


def tellers(site: Topology, frame: Frame, node: int, metric: str) -> tuple[Told, int]:
    """Who tells `metric` below `node`, and how many leaves nobody speaks for."""
    own = frame.value(metric, node)
    heard = math.isfinite(own) and not frame.stale[node]
    if site.is_leaf(node):
        if metric == "voltage_v" and site.level[node] != LAST:
            return [], 0
        return ([(own, node)], 0) if heard else ([], 1)
    found: Told = []
    missing = 0
    part = site.children(node)
    for child in range(part.start, part.stop):
        more, less = tellers(site, frame, child, metric)
        found, missing = found + more, missing + less
    if not found and site.measured[node] and heard and metric != "voltage_v":
        return [(own, node)], 0
    return found, missing


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_the_worst_leaf_is_that_of_a_search_over_all_leaves(seed: int) -> None:
    site, frame = random_site(seed)
    for metric in METRICS:
        for node in range(site.size):
            told, missing = tellers(site, frame, node, metric)
            found = worst(site, frame, node, metric)
            if not told:
                assert found is None
                continue
            assert found is not None
            assert (found.low, found.high) == (min(told)[0], max(told)[0])
            assert (found.low, found.low_node) in told
            assert (found.high, found.high_node) in told
            assert (found.known, found.missing) == (len(told), missing)
            assert found.delta == found.high - found.low


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_all_children_at_once_are_each_child_alone(seed: int) -> None:
    site, frame = random_site(seed)
    for metric in METRICS:
        for node in range(site.size):
            of = worst_of_children(site, frame, node, metric)
            assert of.nodes.size == site.child_count[node]
            for row, child in enumerate(of.nodes.tolist()):
                alone = worst(site, frame, child, metric)
                assert of.at(row) == alone
                if alone is None:
                    assert math.isnan(of.low[row])
                    assert math.isnan(of.high[row])
                    assert of.low_node[row] == of.high_node[row] == NO_NODE
                else:
                    assert (of.low_node[row], of.high_node[row]) == (alone.low_node,
                                                                     alone.high_node)


def scores(site: Topology, frame: Frame, name: str, place: int, level: int,
           ) -> dict[int, float | None]:
    """What every element of a level is worth for a question, worked out one by one."""
    question = BY_NAME[name]
    found: dict[int, float | None] = {}
    usable = reach(site, frame, place, "discharge").usable_kwh
    for node in range(site.size):
        inside = node != place and place in (0, *site.path(node))
        wanted = site.is_leaf(node) if level == LAST else int(site.level[node]) == level
        if not (inside and wanted and node):
            continue
        told = [value for value, _ in tellers(site, frame, node, question.metric)[0]] \
            if question.metric in METRICS else []
        ages = [math.inf if math.isnan(age) else age for age in frame.age_s[site.leaves(node)]]
        answers = {"highest": max(told, default=None), "lowest": min(told, default=None),
                   "spread": float(np.float32(max(told)) - np.float32(min(told)))
                   if len(told) > 1 else None,
                   "age": max(ages),
                   "energy": None if math.isnan(usable[node]) else float(usable[node])}
        found[node] = answers[question.seeks]
    return found


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_what_is_found_is_first_of_all_elements_of_the_level(seed: int) -> None:
    site, frame = random_site(seed)
    rng = np.random.default_rng(seed)
    for place in {0, int(rng.integers(site.size))}:
        for level in levels_below(site, place):
            for question in QUESTIONS:
                number = [one.name for one in DEFAULT_LEVELS].index(level.name)
                if question.seeks == "spread" and number == LAST:
                    continue
                if number == LAST and question.metric in METRICS:
                    continue  # who stands in for leaves: the test below
                every = scores(site, frame, question.name, place, number)
                known = [score for score in every.values() if score is not None]
                sign = 1 if question.seeks in ("lowest", "energy") else -1
                found = find(site, frame, question.name, level.name, place)
                assert [one.value for one in found.found] == sorted(
                    known, key=lambda score: sign * score)[:5]  # noqa: B023 - used at once
                assert all(every[one.node] == one.value for one in found.found)
                assert (found.compared, found.unknown) == (len(known), len(every) - len(known))


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_among_leaves_those_are_found_that_tell_the_worst(seed: int) -> None:
    site, frame = random_site(seed)
    for question in QUESTIONS:
        if question.metric not in METRICS or question.seeks == "spread":
            continue
        told, missing = tellers(site, frame, 0, question.metric)
        sign = 1 if question.seeks == "lowest" else -1
        found = find(site, frame, question.name, "cell")
        assert [one.value for one in found.found] == sorted(
            (value for value, _ in told), key=lambda value: sign * value)[:5]  # noqa: B023
        assert {(one.value, one.node) for one in found.found} <= set(told)
        assert (found.compared, found.unknown) == (len(told), missing)
