"""What people give a pack: a BPX parameter file for its model, and a recording of a cell of its
kind to compare and to calibrate with. Files are read in a child process."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import numpy as np
import streamlit as st

from components import blocks, charts, formats, operator, parts
from components.blocks import LegendItem
from components.drawing import Drawing
from components.tokens import tokens
from components.twin import asked, who
from components.twin.subject import TwinClient
from core.clock import from_epoch
from core.errors import OrreryError, RequestError
from core.twin.follow import Followed, follow
from core.twin.kept import (
    Kind,
    Own,
    ParameterFile,
    Recording,
    about_chemistry,
    plain_name,
)
from core.twin.models import Floats
from core.twin.past import Plate
from core.twin.ports import Physics
from core.twin.record import Record, moved_ah
from core.twin.tasks import (
    HOLD,
    MOST_BPX,
    CalibrationTask,
    FileKind,
    FileResult,
    FileTask,
    column,
    floats,
    last_seen,
    new_id,
)

MOST_MIB = 5
"""Of a file; the form refuses what is larger, and so do we."""
MOST_ROWS = 700
"""Of a recording as it is followed and fitted: means of what lies between."""
WAITING_S, CALM_S = 1.0, 60.0
CHART_PX = 170
UPLOADS: dict[str, FileKind] = {"json": "bpx", "bpx": "bpx", "csv": "csv", "txt": "csv"}
THIS, ALL = "This pack", "All of its chemistry"


def show(client: TwinClient, pack: str) -> None:
    """The panel; it follows what is being read."""
    physics = client.physics
    waits = not isinstance(physics, str) and asked.pending(asked.found(physics, _about(pack)))
    parts.live(_panel, "twin_given", WAITING_S if waits else CALM_S, client, pack, waits)


def _about(pack: str) -> tuple[str, str]:
    """By what the reading of a file is found again: each session gives its own."""
    return "given", f"{pack} {st.session_state.get('twin_given_digest', '')}"


def own_of(client: TwinClient, pack: str) -> Own | None:
    """What is kept of a pack; None where it cannot be read, which is shown."""
    try:
        return client.twin_own(pack)
    except OrreryError as error:
        blocks.show(blocks.state_box("error", "What is kept of it cannot be read", str(error),
                                     error=True))
        return None


def _panel(client: TwinClient, pack: str, waited: bool) -> None:
    physics = client.physics
    blocks.show(blocks.heading("Own files", "parameters of its cells, a recording of one"))
    lost = asked.missing(physics)
    if lost is not None or isinstance(physics, str):
        blocks.show(lost or blocks.EMPTY)
        return
    own = own_of(client, pack)
    if own is None:
        return
    _kept(client, pack, own)
    state = asked.found(physics, _about(pack))
    if state is not None and asked.pending(state):
        asked.progress(physics, state, "given")
        return
    if waited:
        st.rerun()
    _refused(physics, pack)
    _form(client, physics, pack)


# -- what is kept


def _kept(client: TwinClient, pack: str, own: Own) -> None:
    chemistry = client.twin_plate(pack).chemistry
    if own.file is not None:
        for_all = own.file.about == about_chemistry(chemistry)
        counts = f"all packs of {chemistry}" if for_all else "this pack"
        _line(client, pack, "parameters", own.file.about, own.file.name,
              f"Parameter file{': ' + own.file.title if own.file.title else ''}. It counts for "
              f"{counts}: {own.file.low_v:g} to {own.file.high_v:g} V, "
              f"{formats.number(own.file.capacity_ah, 2)} Ah. It models windows and calibrations; "
              "forecasts keep the chemistry's own, for BPX has no ageing. "
              + _since(own.file.made_s, own.file.by))
    if own.recording is not None:
        seconds = own.recording.step_s * floats(own.recording.current_a).size
        _line(client, pack, "recording", pack, own.recording.name,
              f"Recording of {formats.age(seconds)}{_of(own.recording)}. "
              f"{_sentence(own.recording.note)}"
              + _since(own.recording.made_s, own.recording.by))
        _compare(client.twin_plate(pack), own.recording)


def _line(client: TwinClient, pack: str, kind: Kind, name: str, file: str, words: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"twin_kept_{kind}"):
        blocks.show(blocks.join(blocks.strong(file), blocks.note(words)))
        if who.button(client, "Remove", key=f"twin_remove_{kind}", icon=":material/delete:",
                      type="tertiary"):
            who.changed(client, pack, f"{kind} removed", file,
                        lambda: client.twin_drop(kind, name))
            st.rerun()


def _since(made_s: float, by: str) -> str:
    when = formats.local_time(from_epoch(made_s), st.context.timezone)
    return f"Given {when}{' by ' + by if by else ''}."


def _of(recording: Recording) -> str:
    return "" if recording.capacity_ah is None else \
        f" of a cell of {formats.number(recording.capacity_ah, 2)} Ah"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}. " if words else ""


# -- what is given


def _form(client: TwinClient, physics: Physics, pack: str) -> None:
    why_not = who.why_not(client)
    if why_not:
        blocks.show(blocks.note(f"Operators may give files. {why_not}"))
        operator.sign_in_button(client, "twin")  # type: ignore[arg-type]
        return
    with st.popover("Give a file", icon=":material/upload_file:", key="twin_give"):
        blocks.show(blocks.note(
            f"A BPX parameter file (JSON, at most {MOST_BPX // 2**20} MiB), or a CSV with time, "
            f"voltage and current of one cell, and its temperature where there is one (at most "
            f"{MOST_MIB} MiB)."))
        about = st.segmented_control("A parameter file counts for", [THIS, ALL], default=THIS,
                                     key="twin_given_about")
        capacity_ah = st.number_input(
            "Capacity of the recorded cell [Ah]", min_value=0.001, max_value=1e5, step=0.1,
            value=round(client.twin_plate(pack).rated_ah, 3), key="twin_given_ah")
        file = st.file_uploader("File", type=list(UPLOADS), max_upload_size=MOST_MIB,
                                key="twin_file", label_visibility="collapsed")
        if file is not None and st.button("Read it", key="twin_read", type="primary"):
            _read(physics, pack, file.name, file.getvalue(), about == ALL, float(capacity_ah))


def _read(physics: Physics, pack: str, name: str, content: bytes, for_all: bool,
          capacity_ah: float) -> None:
    st.session_state.pop("twin_given_why", None)
    try:
        task = file_task(name, len(content), content)
        plain = plain_name(name)
    except RequestError as error:
        st.session_state["twin_given_why"] = str(error)
    else:
        st.session_state["twin_given_digest"] = hashlib.sha256(content).hexdigest()
        st.session_state["twin_given"] = plain, for_all, task.text, capacity_ah
        asked.ask(physics, _about(pack), task)
    st.rerun()


def file_task(name: str, size: int, content: bytes) -> FileTask:
    """Raises RequestError for what is too large or no text."""
    if max(size, len(content)) > MOST_MIB * 2**20:
        raise RequestError(f"the file has {size / 2**20:.0f} MiB; at most {MOST_MIB} are read")
    kind = UPLOADS.get(name.rpartition(".")[2].lower())
    if kind is None:
        raise RequestError(f"a file is called {', '.join('.' + ending for ending in UPLOADS)}")
    if kind == "bpx" and len(content) > MOST_BPX:
        raise RequestError(f"a parameter file has at most {MOST_BPX // 1024} KiB; this one has "
                           f"{len(content) / 1024:.0f}")
    try:
        return FileTask(id=new_id(), kind=kind, text=content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RequestError("the file is no text in UTF-8") from error


def _refused(physics: Physics, pack: str) -> None:
    """Why the last file was not taken."""
    state = asked.found(physics, _about(pack))
    why = st.session_state.get("twin_given_why") or (
        state.words if state is not None and state.standing == "failed" else "")
    if why:
        blocks.show(blocks.state_box("block", "The file is not taken",
                                     f"{why[:1].upper()}{why[1:]}", error=True))


def take(client: TwinClient, pack: str) -> None:
    """Keep what was read since: once a run of the page, before anything is drawn of it."""
    physics, given = client.physics, st.session_state.get("twin_given")
    if isinstance(physics, str) or given is None:
        return
    state = asked.found(physics, _about(pack))
    if state is None or asked.pending(state):
        return
    st.session_state.pop("twin_given", None)
    if isinstance(state.result, FileResult) and not state.result.failed:
        told = _told(client, pack, state.result, *given)
        who.changed(client, pack, f"{state.result.kind} file given", told.name,
                    lambda: client.twin_keep(told))
        st.session_state.pop("twin_given_digest", None)


def _told(client: TwinClient, pack: str, result: FileResult, name: str, for_all: bool,
          text: str, capacity_ah: float) -> ParameterFile | Recording:
    made_s, by = client.now().timestamp(), who.name(client)
    if result.kind == "csv":
        return Recording(pack=pack, name=name, made_s=made_s, by=by, step_s=result.step_s or 1.0,
                         current_a=result.current_a, voltage_v=result.voltage_v,
                         temperature_c=result.temperature_c, capacity_ah=capacity_ah,
                         note=result.note)
    chemistry = client.twin_plate(pack).chemistry
    return ParameterFile(
        about=about_chemistry(chemistry) if for_all else pack, name=name, made_s=made_s, by=by,
        text=text, title=result.title, low_v=result.low_v or math.nan,
        high_v=result.high_v or math.nan, capacity_ah=result.capacity_ah or math.nan)


# -- a recording


@lru_cache(maxsize=8)
def thinned(recording: Recording, rated_ah: float) -> Record:
    """At most MOST_ROWS rows, means of what lies between; + is discharging. The current is that of
    a cell of rated_ah at the same C-rates."""
    current, volts = (floats(told).astype(np.float64)
                      for told in (recording.current_a, recording.voltage_v))
    step = -(-current.size // MOST_ROWS)
    rows = current.size // step
    current = current * rated_ah / (recording.capacity_ah or rated_ah)
    means = [_means(values[:rows * step].reshape(rows, step)) for values in (current, volts)]
    return Record.of(recording.step_s * step * np.arange(rows), *means)


def _means(values: Floats) -> Floats:
    known = np.isfinite(values)
    counts = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0)


@lru_cache(maxsize=8)
def followed(recording: Recording, plate: Plate) -> Followed:
    """As the filter lives it from the charge that its first voltage tells."""
    warmth = recording.temperature_c
    return follow(thinned(recording, plate.rated_ah), plate.model, plate.rated_ah,
                  temperature_c=math.nan if warmth is None else warmth)


def _compare(plate: Plate, recording: Recording) -> None:
    """The pack's model beside the recorded cell."""
    record, found = thinned(recording, plate.rated_ah), followed(recording, plate)
    left = found.residual_v[np.isfinite(found.residual_v)]
    if not left.size:
        blocks.show(blocks.note("The filter finds no charge that its voltages fit."))
        return
    rms = 1000.0 * float(np.sqrt(np.mean(left**2)))
    blocks.show(blocks.heading(f"Recording: {formats.number(rms, 1)} mV off", blocks.legend([
        LegendItem("measured", "text4"), LegendItem("modelled", "grid", "dash")])))
    charts.show(_drawing(record, found), key="twin_recording", height=CHART_PX,
                alt=f"Recorded and modelled voltage, {rms:.0f} mV root mean square apart")


def _drawing(record: Record, found: Followed) -> Drawing:
    colour = tokens(st.context.theme.type)
    drawing = Drawing(template=charts.template(st.context.theme.type))
    for name, values, line in (
            ("measured", record.voltage_v, {"width": 1.6, "color": colour["text4"]}),
            ("modelled", found.modelled_v, {"width": 1.4, "dash": "dash",
                                            "color": colour["grid"]})):
        drawing.add_scatter(x=record.time_s / 60.0, y=values, mode="lines", line=line,
                            hovertemplate=f"{name} %{{y:.3f}} V<extra></extra>")
    drawing.update_xaxes(ticksuffix=" min")
    drawing.update_yaxes(ticksuffix=" V")
    return drawing


def task_of(plate: Plate, recording: Recording, bpx: str) -> CalibrationTask:
    """A calibration on the longest part of a recording that has no hole, from the charge that the
    filter has before the part that judges, counted back. Raises RequestError for a record that
    tells too little."""
    whole, found = thinned(recording, plate.rated_ah), followed(recording, plate)
    rows = _longest_known(whole.current_a)
    record = whole.part(rows)
    if record.time_s.size < 2:
        raise RequestError("the recording holds no current")
    step_s = float(record.time_s[1] - record.time_s[0])
    soc = found.soc[rows][:last_seen(record.time_s.size, HOLD) + 1]
    known = np.flatnonzero(np.isfinite(soc))
    if not known.size:
        raise RequestError("the recording's voltages fit no charge of this chemistry")
    taken_ah = float(moved_ah(record.current_a, step_s)[known[-1]])
    begins = min(max(float(soc[known[-1]]) + taken_ah / plate.rated_ah, 0.0), 1.0)
    return CalibrationTask(
        id=new_id(), pack=plate.id, chemistry=plate.chemistry,  # type: ignore[arg-type]
        capacity_ah=plate.full_ah, soc=begins, start_v=float(plate.model.ocv_v(begins)),
        step_s=step_s, current_a=column(record.current_a),
        voltage_v=column(record.voltage_v), hold=HOLD, bpx=bpx,
        temperature_c=recording.temperature_c)


def _longest_known(values: Floats) -> slice:
    """Rows of the longest run of known values."""
    holes = np.concatenate([[-1], np.flatnonzero(~np.isfinite(values)), [values.size]])
    longest = int(np.argmax(np.diff(holes)))
    return slice(int(holes[longest]) + 1, int(holes[longest + 1]))
