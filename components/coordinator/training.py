"""The RL room: what was trained, how it did on fixed days, and what the gate said."""

from __future__ import annotations

import math
from datetime import datetime
from html import escape

import numpy as np
import streamlit as st

from components import blocks, charts, formats
from components.api_client import LocalClient
from components.blocks import Html
from components.coordinator import choice, policies, words
from components.drawing import Drawing
from components.tokens import tokens
from core.coordinator.candidates import SHIPPED
from core.coordinator.view import Evaluation, RlRoom, TrainingRun

MOST_RUNS, MOST_EVALUATIONS = 6, 8
SILENT_S = 900.0
"""A run that says nothing for so long has ended without a word; the longest of its pauses is some
minutes [s]."""
HEIGHT = 240
HUES = ("text", "charge", "discharge", "grid", "water", "heat")
HEAD = Html('<div class="o-row hd o-corun"><span>Run</span><span>Began</span>'
            '<span class="rt">Steps</span><span class="rt">Captured</span><span>Stands</span>'
            "</div>")
BASELINES = ("no battery", "rule-based", "mpc", "perfect foresight")


def show(client: LocalClient) -> None:
    known = choice.coordination(client)
    if known is None:
        return
    room = known.rl_room()
    if room.missing:
        blocks.show(blocks.state_box("deployed_code_alert", "The RL controller is not ready",
                                     words.sentence(room.missing)))
    if room.runs:
        _runs(room, client.now())
    else:
        blocks.show(blocks.state_box(
            "school", "No training has run here",
            "A policy learns from MPC and from perfect foresight in a simulated fleet, is judged "
            "on fixed days, and may drive only if it beats the controller that drives now.",
            blocks.join(blocks.code("make rl"), " starts one; what it learns is shown here live.")))
    _evaluations(room)
    policies.table(room)


def _runs(room: RlRoom, now: datetime) -> None:
    live = sum(one.ended_at is None and not _silent_s(one, now) for one in room.runs)
    blocks.show(blocks.heading("Training runs", f"{live} running" if live else "none running now"))
    shown = room.runs[:MOST_RUNS]
    curves = [one for one in shown if len(one.curve_steps) > 1]
    if curves:
        with st.container(key="panel_coordinator_curves"):
            blocks.show(blocks.heading("Captured of what was possible, on days that only choose",
                                       blocks.legend([blocks.LegendItem(
                                           one.run, HUES[place % len(HUES)])
                                           for place, one in enumerate(curves)])))
            charts.show(curve(curves), key="coordinator_curves", height=HEIGHT,
                        view=" ".join(one.run for one in curves),
                        alt="Captured share over the part of a run that is done, a line a run")
    blocks.show(Html('<div class="o o-rows">' + HEAD + "".join(_run(one, now) for one in shown)
                     + "</div>"))
    if live:
        blocks.show(blocks.note(blocks.join(
            "A run is ended by ", blocks.code('make rl ARGS="cancel RUN"'), " and goes on by ",
            blocks.code('make rl ARGS="train --resume RUN"'), ".")))


def curve(runs: list[TrainingRun]) -> Drawing:
    """A line a run, over the part of it that is done: methods count different steps, millions of
    examples the one and thousands of updates the other."""
    colour = tokens(st.context.theme.type)
    figure = Drawing(template=charts.template(st.context.theme.type))
    for place, one in enumerate(runs):
        name = one.run.replace("<", "&lt;").replace("%{", "%\u200b{")
        steps = np.array(one.curve_steps)
        done = 100.0 * (one.share or 1.0) * steps / max(float(steps[-1]), 1.0)
        figure.add_scatter(x=done, y=np.array(one.curve_captured_pct),
                           mode="lines+markers", name=name, marker={"size": 5},
                           line={"width": 1.6, "color": colour[HUES[place % len(HUES)]]},
                           hovertemplate=f"{name} %{{y:.1f}} %<extra></extra>")
    figure.update_xaxes(title={"text": "of the run, %", "font": {"size": 12,
                                                                 "color": colour["text3"]}},
                        range=[0, 102])
    figure.update_yaxes(ticksuffix=" %")
    return figure


def _silent_s(one: TrainingRun, now: datetime) -> float:
    """So long a run that did not end has said nothing, 0 where it is heard [s]."""
    heard = one.told_at or one.started_at
    silent_s = (now - heard).total_seconds() if one.ended_at is None else 0.0
    return silent_s if silent_s > SILENT_S else 0.0


def _run(one: TrainingRun, now: datetime) -> str:
    silent_s = _silent_s(one, now)
    if one.ended_at is not None:
        took = (one.ended_at - one.started_at).total_seconds()
        stands = f"ended after {formats.age(took)}"
    elif silent_s:
        stands = (f"silent for {formats.age(silent_s)}, at {formats.number(100 * one.share)} %: "
                  "see whether its process runs")
    else:
        stands = f"running, {formats.number(100 * one.share)} %"
    told = f"<small>{escape(one.words)}</small>" if one.words else ""
    steps = one.curve_steps[-1] if one.curve_steps else math.nan
    last = f"{formats.number(one.curve_captured_pct[-1], 1)} %" if one.curve_captured_pct else \
        formats.MISSING
    return (f'<div class="o-row o-corun"><span class="nm">{escape(one.run)}'
            f"<small>{escape(one.method)}</small></span>"
            f'<span class="mut">{formats.local_time(one.started_at, st.context.timezone)}</span>'
            f'<span class="num stp">{formats.number(steps)}</span>'
            f'<span class="num cap">{last}</span>'
            f"<span>{escape(stands)}{told}</span></div>")


def _evaluations(room: RlRoom) -> None:
    blocks.show(blocks.heading("On fixed days, against every baseline",
                               "captured of what was possible"))
    if not room.judged:
        blocks.show(blocks.note("Nothing was evaluated yet: a run is, when it ends."))
        return
    for one in room.judged[:MOST_EVALUATIONS]:
        blocks.show(evaluation(one))


def evaluation(one: Evaluation) -> Html:
    """The verdict first, then a bar a policy and baseline."""
    icon, word = ("verified", "allowed") if one.deployed else ("block", "refused")
    word += " as a site's controller"
    name = f"{one.version} ({one.run})" if one.run == SHIPPED else one.version
    facts = [f"{formats.counted(one.days, 'day')}", f"violations: {formats.number(one.violations)}"]
    if math.isfinite(one.decision_us):
        facts.append(f"{formats.number(one.decision_us)} µs a decision")
    if one.size_bytes:
        facts.append(f"{formats.number(one.size_bytes / 1000, 1)} kB")
    names = sorted(one.captured_pct, key=lambda name: (
        BASELINES.index(name) if name in BASELINES else len(BASELINES) - 1.5, name))
    bars = "".join(_bar(name, one) for name in names)
    return Html(f'<div class="o o-coeval"><div class="top">{blocks.symbol(icon)}<b>'
                f"{escape(name)}: {escape(word)}</b><span>{escape(one.verdict)}</span></div>"
                f'<div class="mut">{escape(", ".join(facts))}; '
                f"{formats.local_time(one.at, st.context.timezone)}</div>{bars}</div>")


def _bar(name: str, one: Evaluation) -> str:
    share = one.captured_pct[name]
    width = min(max(share, 0.0), 100.0) if math.isfinite(share) else 0.0
    cost = one.cost_per_day.get(name, math.nan)
    own = " on" * (name not in BASELINES)
    return (f'<div class="line{own}"><span>{escape(words.baseline(name))}</span>'
            f'<span class="bar"><i style="width:{width:.1f}%"></i></span>'
            f'<span class="num">{formats.number(share, 1)} %</span>'
            f'<span class="num mut2">{formats.number(cost, 2)} a day</span></div>')
