"""One pack closely: what the twin makes of it beside what its devices say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from components import blocks, formats, session
from components.api_client import Client
from components.blocks import Content, Html, Pair
from components.twin import board, choice, export, traces, words
from core.errors import OrreryError
from core.twin.bands import LEAST_OWN
from core.twin.diagnosis import Verdict
from core.twin.predictions import Point, Score
from core.twin.study import Study
from core.twin.tree import PackEstimate


def tools(client: Client, pack: str) -> None:
    """Back to all, and to where it is."""
    with st.container(key="twin_tools", horizontal=True, gap="xsmall"):
        if st.button("All packs", key="twin_back", icon=":material/arrow_back:"):
            choice.choose(None)
            st.rerun()
        if st.button("Space Balls", key="twin_space", icon=":material/bubble_chart:"):
            session.open_place(client.topology, client.topology.index(pack))
        export.pack_menu(client, pack)


def head(client: Client, pack: str) -> None:
    """"Module 2 agrees within 3 mV", how sure it is, and the numbers."""
    topology, node, study = client.topology, client.topology.index(pack), client.twin_study(pack)
    judged = None if study is None else study.judged
    plate = client.twin_plate(pack)
    sub: list[Content] = [
        words.where(topology, node), f"{plate.chemistry}, {formats.counted(plate.cells, 'cell')}",
        f"{formats.number(plate.rated_ah, 1)} Ah each"]
    if judged is not None:
        sub.append(f"judged {formats.age((client.now() - judged.at).total_seconds())} ago")
    blocks.show(blocks.title(f"{words.name(topology, node)} {words.title(judged)}", sub=sub))
    site = client.twin_site()
    if not isinstance(site, str):
        board.trouble(site)
    estimate = client.twin_estimate(pack)
    blocks.show(_verdict(judged.verdict, words.cause(judged, st.context.timezone))
                if judged is not None else _waiting(), _cards(client, node, estimate, study))


def _waiting() -> Html:
    return blocks.state_box("hourglass_top", "Not judged yet",
                            "Its last six hours are read and followed; this takes some seconds.")


def _verdict(verdict: Verdict, cause: str) -> Html:
    icon, word = words.VERDICTS[verdict.word]
    return blocks.join(Html('<div class="o o-verdict">'), blocks.symbol(icon), Html("<div>"),
                       blocks.strong(word[:1].upper() + word[1:]), Html("<span>"), cause,
                       Html('</span><span class="do">'), words.ADVICE.get(verdict.word, ""),
                       Html("</span></div></div>"))


def _cards(client: Client, node: int, found: PackEstimate, study: Study | None) -> Html:
    frame = client.snapshot().frame
    return blocks.grid([
        _charge(found), _health(frame.value("soh_pct", node), study), _capacity(client, study),
        _resistance(found, study), _residual(client, found), _leak(found)])


def _charge(found: PackEstimate) -> Html:
    reported = (f"reported {formats.number(found.reported_pct, 1)} %"
                if math.isfinite(found.reported_pct) else "not reported")
    return blocks.card("Charge, estimated", formats.quantity(found.soc_pct.value, "%", 1),
                       note=_clipped(found), below=reported,
                       help="Mean cell, by the filter, with the interval that holds 90 %")


def _clipped(found: PackEstimate) -> str:
    """A charge is no less than empty and no more than full."""
    if not found.soc_pct.known:
        return "no voltage and no charge was told"
    return (f"{formats.number(max(0.0, found.soc_pct.low))} to "
            f"{formats.number(min(100.0, found.soc_pct.high))} %")


def _health(reported: float, study: Study | None) -> Html:
    beside = (f"reported {formats.number(reported, 1)} %" if math.isfinite(reported)
              else "not reported")
    if study is None or not study.judged.soh.known:
        return blocks.card("Health, estimated", formats.quantity(math.nan, "%"), note=beside,
                           below="" if study is None else words.NO_SOH)
    soh = study.judged.soh.times(100.0)
    return blocks.card("Health, estimated", formats.quantity(soh.value, "%", 1),
                       note=words.between(soh, 0, "%"), below=beside,
                       help="Capacity and resistance together, with the interval that holds 90 %")


def _capacity(client: Client, study: Study | None) -> Html:
    if study is None or not study.judged.capacity.known:
        return blocks.card("Capacity", formats.quantity(math.nan, "%"),
                           below=words.no_capacity(study))
    told, at = study.judged.capacity.times(100.0), study.judged.capacity_at
    aged = "" if at is None else f"{formats.age((client.now() - at).total_seconds())} ago, "
    return blocks.card("Capacity", formats.quantity(told.value, "%", 1),
                       note=words.between(told, 0, "%"), below=f"found {aged}between two rests",
                       help="It counts until a better one is found; its interval grows with age")


def _resistance(found: PackEstimate, study: Study | None) -> Html:
    told = found.resistance if study is None or not words.is_told(study.judged.resistance) \
        else study.judged.resistance
    if not words.is_told(told):
        return blocks.card("Resistance", formats.quantity(math.nan, "×"),
                           below=words.no_resistance(study))
    if study is not None and study.judged.resistance_growth.known:
        growth = study.judged.resistance_growth.times(100.0)
        return blocks.card(
            "Resistance growth", formats.Text(words.signed(growth.value), "% a year"),
            note=words.between(growth, 0, "%"), below=f"{formats.number(told.value, 2)} × of a "
            f"new cell's, {words.between(told, 2)}")
    return blocks.card("Resistance", formats.quantity(told.value, "×", 2),
                       note=words.between(told, 2, "×"), below="of a new cell's")


def _residual(client: Client, found: PackEstimate) -> Html:
    off = "" if found.off_cell < 0 else (
        f"most: {client.topology.names[found.off_cell]}, "
        f"{formats.number(1000 * found.off_v, 1)} mV")
    return blocks.card("Measured less modelled", formats.quantity(1000 * found.residual_v, "mV", 1),
                       note=f"{formats.number(100 * found.known)} % of the cells known", below=off)


def _leak(found: PackEstimate) -> Html:
    return blocks.card("Unmeasured current", formats.quantity(found.leak_pct.value, "% of C", 2),
                       note=words.between(found.leak_pct, 2), below="a sensor's bias, or a leak")


def record(client: Client, pack: str) -> None:
    """Measured and modelled voltage, and what is between them; charge and resistance."""
    study = client.twin_study(pack)
    if study is None:
        blocks.show(blocks.note("The last hours are being read."))
        return
    if study.past.record.time_s.size < 2:
        blocks.show(blocks.state_box(
            "show_chart", "No past to draw yet", "History knows less than two moments of the last "
            "six hours.", "They come by themselves; the simulated past takes about a minute."))
        return
    traces.show(study, client.twin_plate(pack), client.twin_window(pack))


def foretold(client: Client, pack: str) -> None:
    """What the physics says of the next minutes, and how such words came true."""
    try:
        told = client.twin_predictions(pack)
    except OrreryError as error:
        blocks.show(blocks.state_box("error", "Predictions cannot be read", str(error),
                                     error=True))
        return
    plan = "" if told.newest is None else told.newest.plan
    blocks.show(blocks.heading("Next 15 minutes", plan or "if its current stays"))
    if told.newest is None:
        blocks.show(blocks.note(_none_yet(client, pack)))
        return
    now_s = client.now().timestamp()
    made = formats.age(now_s - told.newest.made_s)
    pairs = [Pair(f"In {formats.age(told.newest.made_s + point.after_s - now_s)}",
                  formats.quantity(point.cell_v, "V", 3), _range(point))
             for point in told.newest.points if told.newest.made_s + point.after_s > now_s]
    if not pairs:
        blocks.show(blocks.note(_none_yet(client, pack)))
    scores = [Pair(f"So far, {formats.number(score.after_s / 60)} min ahead", _score(score),
                   _left_out(score)) for score in told.scores]
    lines = (_basis(told.newest.points), _coverage(told.scores),
             f"The newest was made {made} ago.", words.sentence(told.newest.note))
    blocks.show(blocks.details("", [], pairs + scores, " ".join(line for line in lines if line)))


def _none_yet(client: Client, pack: str) -> str:
    physics = client.physics
    if isinstance(physics, str) or physics.missing:
        return "None without the physics."
    due = client.twin_window_due(pack)
    return f"None stands now; its next window is due {words.soon(due.at, client.now())}."


def _range(point: Point) -> str:
    if point.low_v is None or point.high_v is None:
        return "no interval: nothing was measured"
    return f"{formats.number(point.low_v, 3)} to {formats.number(point.high_v, 3)} V"


def _basis(points: Sequence[Point]) -> str:
    """Of what its intervals are made."""
    kinds = {point.basis for point in points if point.basis is not None}
    least = min((point.basis_count for point in points), default=0)
    if not kinds:
        return ""
    if kinds == {"own"}:
        return f"Intervals hold 90 %, by its own last {least} errors or more of each lead time."
    if kinds <= {"own", "all"}:
        return (f"Intervals hold 90 %, by the last {least} errors or more of all packs, until it "
                f"has {LEAST_OWN} of its own of each lead time.")
    return ("Intervals are a stated widening with the lead time, until there are errors enough to "
            "tell them.")


def _coverage(scores: Sequence[Score]) -> str:
    """"Of the last 214 predictions that came true, 93 % lay inside of their interval."""
    told = [(score.count, score.covered) for score in scores
            if score.count and score.covered is not None]
    count = sum(one for one, _ in told)
    if not count:
        return ""
    inside = sum(one * share for one, share in told) / count
    return (f"Of the last {formats.counted(count, 'prediction')} whose time came and whose current "
            f"was kept, {formats.number(100 * inside)} % came true inside of their interval.")


def _score(score: Score) -> str:
    if not score.count or score.rms_mv is None:
        return "none scored yet"
    words_ = f"{formats.number(score.rms_mv, 1)} mV off"
    if score.covered is not None:
        words_ += f", {formats.number(100 * score.covered)} % inside"
    return words_


def _left_out(score: Score) -> str:
    parts = ((score.count, "scored"), (score.waiting, "waiting"),
             (score.unkept, "whose current went otherwise"), (score.unmeasured, "not measured"))
    return ", ".join(f"{formats.number(count)} {word}" for count, word in parts if count)
