"""Fit the model to this pack: ask, watch, end, and see what was found and whether it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

import numpy as np
import streamlit as st

from components import blocks, formats, parts
from components.blocks import Html
from components.twin import asked, given, who
from components.twin.subject import TwinClient
from core.clock import from_epoch
from core.errors import OrreryError, RequestError
from core.twin.counting import REST_C
from core.twin.kept import Calibration, Own
from core.twin.past import Plate, on_grid
from core.twin.ports import Physics, TaskState
from core.twin.record import Record, filled, moved_ah
from core.twin.study import Study
from core.twin.tasks import (
    HOLD,
    CalibrationResult,
    CalibrationTask,
    column,
    last_seen,
    new_id,
)

STEP_S = 60.0
LEAST_MOVED = 0.05
"""Of the capacity; less charge tells nothing of active material."""
REST_KEPT_S = 300.0
WAITING_S, CALM_S = 1.0, 60.0
NAMES = {"negative_active": "Active material, negative", "positive_active":
         "Active material, positive", "contact_ohm": "Contact resistance"}


def show(client: TwinClient, pack: str) -> None:
    """The whole panel; it follows what it waits for."""
    waits = _waits(client, pack)
    every_s = WAITING_S if waits or client.twin_study(pack) is None else CALM_S
    parts.live(_panel, "twin_calibration", every_s, client, pack, waits)


def about(pack: str) -> tuple[str, str]:
    """By what a calibration is found again."""
    return "calibration", pack


def _waits(client: TwinClient, pack: str) -> bool:
    """For a calibration, or until what was accepted of it is kept."""
    physics = client.physics
    if isinstance(physics, str):
        return False
    state = asked.found(physics, about(pack))
    result = _result(state)
    kept = _own(client, pack).calibration
    return asked.pending(state) or (result is not None and result.accepted and (
        kept is None or kept.fitted != _after(result)))


def _after(result: CalibrationResult) -> Mapping[str, float]:
    return {name: told.after for name, told in result.parameters.items()}


def fitted(client: TwinClient, pack: str) -> Mapping[str, float]:
    """What an ageing run begins with of a calibration of this pack, {} without one."""
    return _own(client, pack).fitted_to_age


def set_aside(client: TwinClient, pack: str) -> str:
    """Why a calibration that counts is not in the forecast, "" where none is left out."""
    own = _own(client, pack)
    if own.file is None or not own.fitted:
        return ""
    return (f"Its calibration is of the parameter file {own.file.name}, which tells nothing of "
            "ageing: the forecast is of the chemistry's own cell.")


def _own(client: TwinClient, pack: str) -> Own:
    """Nothing of its own where that cannot be read."""
    try:
        return client.twin_own(pack)
    except OrreryError:
        return Own(None, None, None)


def _result(state: TaskState | None) -> CalibrationResult | None:
    if state is None or not isinstance(state.result, CalibrationResult):
        return None
    return state.result if state.standing == "done" else None


def _panel(client: TwinClient, pack: str, waited: bool) -> None:
    physics = client.physics
    blocks.show(blocks.heading("Calibration", "active material and contacts, from its own record"))
    lost = asked.missing(physics)
    if lost is not None or isinstance(physics, str):
        blocks.show(lost or blocks.EMPTY)
        return
    state, why_not = asked.found(physics, about(pack)), who.why_not(client)
    if state is not None and asked.pending(state):
        asked.progress(physics, state, "calibration", locked=bool(why_not))
        _looks(why_not)
        return
    if waited and not _waits(client, pack):
        st.rerun()
    own = given.own_of(client, pack)
    if own is None:
        return
    result = _result(state)
    box = None if state is None else asked.trouble(state)
    if box is not None:
        blocks.show(box)
    if own.damaged:
        blocks.show(blocks.state_box("error", "A kept file is damaged", f"{own.damaged}; the "
                                     "chemistry's own parameters are used.",
                                     "Calibrate again, or give the file again.", error=True))
    if result is not None and not (result.accepted and own.calibration is not None):
        blocks.show(*found(result))
    if own.calibration is not None:
        _kept(client, physics, pack, own.calibration, own)
    _button(client, physics, pack, own, again=own.calibration is not None or state is not None)
    _looks(why_not)


def _looks(why_not: str) -> None:
    """Why what may be pressed here may not be by this viewer, nothing where it may."""
    if why_not:
        blocks.show(blocks.note(f"Operators may calibrate. {why_not}"))


def _kept(client: TwinClient, physics: Physics, pack: str, told: Calibration, own: Own) -> None:
    """What counts, since when, and the way back."""
    zone = st.context.timezone
    counts = told.digest == own.digest
    blocks.show(*found(told), blocks.note(
        f"Made {formats.local_time(from_epoch(told.made_s), zone)}"
        f"{' by ' + told.by if told.by else ''}. " + (
            _used_by(own) if counts else
            "It was of another parameter file and does not count now; calibrate again.")
        + ("" if client.twin_outlives() else " It ends with this program: history is off.")))
    if who.button(client, "Use the chemistry's own again", key="twin_uncalibrate",
                  type="tertiary", icon=":material/undo:"):
        who.changed(client, pack, "calibration dropped", told.words, lambda: client.twin_drop(
            "calibration", pack))
        asked.drop(physics, about(pack))
        st.rerun()


def _used_by(own: Own) -> str:
    return "Windows and forecasts of this pack use it." if own.file is None else \
        "Windows of this pack use it; its forecast does not, for the parameter file tells " \
        "nothing of ageing."


def _button(client: TwinClient, physics: Physics, pack: str, own: Own, again: bool) -> None:
    study, plate = client.twin_study(pack), client.twin_plate(pack)
    bpx = "" if own.file is None else own.file.text
    use_file = own.recording is not None and st.toggle(
        "From the recording", key="twin_from_recording", help="Instead of its last hours")
    try:
        task = given.task_of(plate, own.recording, bpx) if use_file and own.recording is not None \
            else task_of(plate, study, bpx)
    except RequestError as error:
        blocks.show(blocks.state_box("hourglass_top", "It cannot be calibrated yet", str(error)))
        return
    if who.button(client, "Calibrate again" if again else "Calibrate", key="twin_calibrate",
                  type="secondary" if again else "primary", icon=":material/tune:",
                  help="Half a minute to some minutes of one processor."):
        state = asked.ask(physics, about(pack), task)
        if state is not None:
            client.twin_watch(pack, state.id, who.name(client))
            who.note(client, pack, "calibration asked", "")
        st.rerun()
    if not again:
        blocks.show(blocks.note(
            f"It fits three numbers to the first {100 * (1 - HOLD):.0f} % of the record, and "
            "keeps them only if they are better on the rest, which it has not seen."))


def task_of(plate: Plate, study: Study | None, bpx: str = "") -> CalibrationTask:
    """Of its last hours without a gap, until it came to rest, from the charge that the filter had
    before the part that judges, counted back. bpx: the parameter file that counts. Raises
    RequestError for a record that tells too little."""
    if study is None:
        raise RequestError("its record is being read; it takes a second")
    record = _moving(plate, study)
    end_s = float(record.time_s[-1])
    steps = int((end_s - float(record.time_s[0])) // STEP_S) + 1
    current, volts = on_grid(study.past, end_s, STEP_S, steps)
    moved = moved_ah(filled(current), STEP_S)
    share = float(np.ptp(moved)) / plate.full_ah
    if share < LEAST_MOVED:
        raise RequestError(
            f"{formats.number(100 * share, 1)} % of its capacity moved in the last "
            f"hours without a gap in its record; {100 * LEAST_MOVED:.0f} % tell of active "
            "material. Come back after it was charged or discharged")
    at_s = end_s + STEP_S * np.arange(1.0 - steps, 1.0)
    row = int(np.searchsorted(study.past.record.time_s, at_s[last_seen(steps, HOLD)], "right")) - 1
    soc = float(study.followed.soc[row])
    if not math.isfinite(soc):
        raise RequestError("the filter knows no charge of it yet")
    taken_ah = float(np.interp(study.past.record.time_s[row], at_s, moved))
    counted_ah = study.counted_ah if math.isfinite(study.counted_ah) else plate.rated_ah
    begins = min(max(soc + taken_ah / counted_ah, 0.0), 1.0)
    warmth = study.past.mean_temperature_c
    return CalibrationTask(
        id=new_id(), pack=plate.id, chemistry=plate.chemistry,  # type: ignore[arg-type]
        capacity_ah=plate.full_ah, soc=begins, start_v=float(plate.model.ocv_v(begins)),
        step_s=STEP_S, current_a=column(current), voltage_v=column(volts), hold=HOLD, bpx=bpx,
        temperature_c=warmth if math.isfinite(warmth) else None)


def _moving(plate: Plate, study: Study) -> Record:
    """The longest time without a gap, until some minutes after its last current: what judges is
    to move, too. Raises RequestError where nothing moves."""
    told = study.past.record.known_current().longest()
    moves = np.flatnonzero(np.abs(told.current_a) >= REST_C * plate.rated_ah)
    if moves.size < 2:
        raise RequestError("no current was measured in its last hours without a gap")
    end_s = told.time_s[moves[-1]] + REST_KEPT_S
    return told.part(slice(0, int(np.searchsorted(told.time_s, end_s, side="right"))))


# -- what was found


def found(result: CalibrationResult | Calibration) -> list[Html]:
    """The verdict, the errors and the parameters, before and after."""
    accepted = isinstance(result, Calibration) or result.accepted
    word = "Accepted" if accepted else "Not accepted"
    icon = "check_circle" if accepted else "do_not_disturb_on"
    why = result.words.partition(": ")[2] or result.words
    return [Html(f'<div class="o o-tw-said">{blocks.symbol(icon)}<b>{word}</b>'
                 f"<span>{escape(why)}</span></div>"),
            _table(result),
            blocks.note(f"{result.parameter_set}, SPMe, {result.solves} solves, "
                        f"{formats.number(result.cpu_s or math.nan)} s of one processor. "
                        "Intervals hold 95 %.")]


def _table(result: CalibrationResult | Calibration) -> Html:
    head = ('<div class="o-row hd o-tw-fit"><span>What</span><span class="rt">Before</span>'
            '<span class="rt">After</span><span class="rt">95 % interval</span></div>')
    rows = [_row("Error where it was fitted", _mv(result.rms_before_mv), _mv(result.rms_after_mv)),
            _row("Error on what it has not seen", _mv(result.unseen_before_mv),
                 _mv(result.unseen_after_mv))]
    for name, told in result.parameters.items():
        rows.append(_row(NAMES.get(name, name), _value(name, told.before),
                         _value(name, told.after), _interval(name, told.low, told.high)))
    return Html(f'<div class="o o-rows">{head}{"".join(rows)}</div>')


def _row(name: str, before: str, after: str, interval: str = "") -> str:
    return (f'<div class="o-row o-tw-fit"><span class="nm">{escape(name)}</span>'
            f'<span class="num">{escape(before)}</span><span class="num">{escape(after)}</span>'
            f'<span class="num mut">{escape(interval)}</span></div>')


def _mv(value: float | None) -> str:
    return str(formats.quantity(math.nan if value is None else value, "mV", 1))


def _value(name: str, value: float) -> str:
    if name == "contact_ohm":
        return str(formats.quantity(1000 * value, "mΩ", 2))
    return str(formats.quantity(100 * value, "%", 1))


def _interval(name: str, low: float | None, high: float | None) -> str:
    """An end beyond its bound is none."""
    if low is None:
        return "not told" if high is None else f"up to {_value(name, high)}"
    return f"{_value(name, low)} or more" if high is None else \
        f"{_value(name, low)} to {_value(name, high)}"
