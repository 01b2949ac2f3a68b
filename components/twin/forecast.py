"""Capacity down to 80 %: under the present use, and under another that a person sets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import streamlit as st

from components import blocks, formats, parts, plot
from components.blocks import Html, LegendItem
from components.formats import Text
from components.twin import asked, calibrate, life_chart, origin, promised, words
from components.twin.subject import TwinClient, Use, health_of, use_of
from core.clock import from_epoch
from core.errors import RequestError
from core.twin.fade import past_score
from core.twin.interval import UNKNOWN, Interval
from core.twin.life import NEW, YEAR_D, Life, life_of
from core.twin.past import Plate
from core.twin.ports import Physics, TaskState
from core.twin.rounds import JUMP, Foreseen, key_of, task_of
from core.twin.study import Study
from core.twin.tasks import ForecastResult, ForecastTask, Usage, floats, new_id
from core.twin.usage import LIMITS, STEPS

CHECKED_DAYS = 365
CHART_PX = 230
WAITING_S, CALM_S = 1.0, 60.0
SLIDERS: tuple[tuple[str, str, Any, Any, Any, str], ...] = (
    ("rate", "C-rate", *LIMITS["discharge_c"], STEPS["discharge_c"], "%.2f C"),
    ("depth", "Depth of discharge", 5, 100, 5, "%d %%"),
    ("warmth", "Temperature", *LIMITS["temperature_c"], STEPS["temperature_c"], "%.0f °C"),
    ("rest", "Rests at a charge of", 30, 100, 5, "%d %%"))
"""Name, label, lowest, highest, step, how it is written."""
ALL_PCT = 99.95
"""What weighs more weighs all."""
HELD = ("The 90 % interval of its own fade was judged on 48 NMC cells of one use; of 47 cells of "
        "fifteen uses it held 72 %.")
"""By `python -m bench twin`."""
SINKS = {"sei": "film on the graphite (SEI)", "plating": "plated lithium",
         "lam_negative": "active material, negative", "lam_positive": "active material, positive"}


@dataclass(frozen=True, slots=True)
class Case:
    """One use: its ageing run, as far as there is one, and what is left under it. words: why the
    run tells nothing of it."""

    usage: Usage
    state: TaskState | None
    run: ForecastResult | None
    life: Life | None
    words: str = ""


def show(client: TwinClient, pack: str) -> None:
    """The whole panel; it follows what it waits for."""
    waits = _waits(client, pack)
    every_s = WAITING_S if waits or client.twin_study(pack) is None else CALM_S
    parts.live(_panel, "twin_forecast", every_s, client, pack, waits)


def _waits(client: TwinClient, pack: str) -> bool:
    """Whether something runs that changes what is shown."""
    physics = client.physics
    if isinstance(physics, str):
        return False
    plate = client.twin_plate(pack)
    use = use_of(client, plate)
    return any(asked.pending(asked.found(physics, about))
               for usage in (use.used.usage, wished(plate, use))
               for about in (about_run(client, plate, usage), about_check(client, plate, usage)))


def _panel(client: TwinClient, pack: str, waited: bool) -> None:
    plate, physics, study = client.twin_plate(pack), client.physics, client.twin_study(pack)
    use = use_of(client, plate)
    lost = asked.missing(physics)
    here = None if isinstance(physics, str) or lost is not None else physics
    usage = wished(plate, use) if here is not None else use.used.usage
    now = _case(client, here, plate, study, use.used.usage)
    what_if = _case(client, here, plate, study, usage, measured=False) \
        if usage != now.usage else None
    blocks.show(blocks.heading("Capacity to 80 %", _origin(now, what_if)),
                blocks.grid(_cards(now, what_if), columns=4))
    _chart(study, now, what_if)
    if lost is not None:
        blocks.show(lost)
    if here is not None:
        _sliders(plate, use)
        if what_if is not None:
            st.button("Back to the present use", key="twin_forecast_back", type="tertiary",
                      icon=":material/undo:", on_click=_move, args=(plate, False))
        _asking(client, here, plate, [case for case in (now, what_if) if case is not None])
        if waited and not _waits(client, pack):
            st.rerun()  # the page stops asking each second
    lines = [_by_night(client, plate), *_notes(plate, study, use, now, what_if),
             _begins(health_of(client, plate, study)), calibrate.set_aside(client, plate.id)]
    blocks.show(*[blocks.note(line) for line in lines if line])


# -- what is known


def about_run(client: TwinClient, plate: Plate, usage: Usage) -> tuple[object, ...]:
    """By what a run is found again: packs of one chemistry and use share it, but not one whose
    cell was calibrated."""
    return ("forecast", *key_of(plate, usage, calibrate.fitted(client, plate.id)))


def _state(client: TwinClient, physics: Physics, plate: Plate, usage: Usage) -> TaskState | None:
    """Of the pack as it was calibrated; until that was asked, of the set's own cell."""
    fitted = asked.found(physics, about_run(client, plate, usage))
    return fitted or asked.found(physics, ("forecast", plate.chemistry, usage, ()))


def about_check(client: TwinClient, plate: Plate, usage: Usage) -> tuple[object, ...]:
    """Of the same cell as its run."""
    return ("check", *about_run(client, plate, usage))


def _case(client: TwinClient, physics: Physics | None, plate: Plate, study: Study | None,
          usage: Usage, measured: bool = True) -> Case:
    """measured: the pack was used so, hence its own fade tells of it too."""
    state = None if physics is None else _state(client, physics, plate, usage)
    told = state.result if state is not None and state.standing == "done" else None
    run = told if isinstance(told, ForecastResult) else _by_itself(client, plate, usage)
    why = "" if run is not None else _no_run(physics, state, client.twin_foreseen(plate.id))
    try:
        return Case(usage, state, run, _life(client, plate, study, usage, run, measured), why)
    except RequestError as error:
        alone = _life(client, plate, study, usage, None, measured)
        return Case(usage, state, run, alone, f"its ageing run tells nothing: {error}")


def _no_run(physics: Physics | None, state: TaskState | None, by_night: Foreseen) -> str:
    """Why there is none; what failed is told in full elsewhere."""
    if physics is None:
        return "the ageing model cannot run here"
    if asked.pending(state):
        return "the ageing model runs"
    if state is not None and state.standing == "cancelled":
        return "its ageing run was cancelled"
    failed = state is not None or by_night.failed
    return "its ageing run has no result" if failed else "no ageing run yet"


def _by_itself(client: TwinClient, plate: Plate, usage: Usage) -> ForecastResult | None:
    """The run of the night, where it was of this use."""
    told = client.twin_foreseen(plate.id)
    return told.run if told.used is not None and told.used.usage == usage else None


def _life(client: TwinClient, plate: Plate, study: Study | None, usage: Usage,
          run: ForecastResult | None, measured: bool) -> Life | None:
    """Raises RequestError for a run that tells nothing."""
    fade = study.judged.fade if study is not None and measured else None
    soh = health_of(client, plate, study)
    return life_of(run, plate.chemistry, fade, soh if soh.known else NEW, usage.depth)


# -- what is asked


def wished(plate: Plate, use: Use) -> Usage:
    """Where the sliders stand; the present use until somebody moves one."""
    present = use.used.usage
    if not st.session_state.get(_key(plate, "moved")):
        return present
    stands = {name: st.session_state.get(_key(plate, name), value)
              for name, value in _stands(present).items()}
    rate, rest_soc = round(stands["rate"], 2), stands["rest"] / 100.0
    return Usage(discharge_c=rate, rest_soc=rest_soc, depth=min(stands["depth"] / 100.0, rest_soc),
                 charge_c=present.charge_c if rate == present.discharge_c else rate,
                 temperature_c=stands["warmth"])


def _stands(usage: Usage) -> dict[str, float]:
    """Of the sliders under this use."""
    return {"rate": usage.discharge_c, "depth": round(100 * usage.depth),
            "warmth": usage.temperature_c, "rest": round(100 * usage.rest_soc)}


def _key(plate: Plate, name: str) -> str:
    return f"twin_what_{name}_{plate.node}"


def _move(plate: Plate, moved: bool) -> None:
    """For callbacks."""
    st.session_state[_key(plate, "moved")] = moved


def _sliders(plate: Plate, use: Use) -> None:
    """Those that nobody moved follow the present use, which may become known later."""
    moved = st.session_state.get(_key(plate, "moved"))
    for name, value in _stands(use.used.usage).items():
        if not moved or _key(plate, name) not in st.session_state:
            st.session_state[_key(plate, name)] = value
    blocks.show(blocks.heading("What if", "another use from now on"))
    with st.container(key="twin_what_if"):
        for name, label, low, high, step, shape in SLIDERS:
            st.slider(label, low, high, step=step, format=shape, key=_key(plate, name),
                      on_change=_move, args=(plate, True))


def _asking(client: TwinClient, physics: Physics, plate: Plate, cases: list[Case]) -> None:
    """A button for what was not asked yet, a bar for what runs, a box for what failed."""
    fitted = calibrate.fitted(client, plate.id)
    open_ = [case for case in cases if not asked.pending(case.state) and (
        case.run is None or (fitted and not case.run.calibrated))]
    for case in cases:
        box = None if case.state is None else asked.trouble(case.state)
        if box is not None:
            blocks.show(box)
    pending = [case for case in cases if asked.pending(case.state)]
    for number, case in enumerate(pending):
        if case.state is not None:
            asked.progress(physics, case.state, f"forecast_{number}")
    again = all(case.run is not None for case in open_)
    label = "Ask again, with its calibration" if again else "Ask the ageing model"
    if open_ and st.button(label, key="twin_forecast_ask", type="primary",
                           icon=":material/play_arrow:", help="Ten years in some seconds to a "
                           "minute of one processor; packs that are used alike share a run."):
        for case in open_:
            asked.ask(physics, about_run(client, plate, case.usage),
                      task_of(key_of(plate, case.usage, fitted)))
        st.rerun()
    if not open_ and not pending:
        _check(client, physics, plate, cases[-1])


def _check(client: TwinClient, physics: Physics, plate: Plate, case: Case) -> None:
    """The error of the jump over days, against a run of every day of the same cell."""
    about = about_check(client, plate, case.usage)
    state = asked.found(physics, about)
    if asked.pending(state) and state is not None:
        asked.progress(physics, state, "check")
    elif state is not None and isinstance(state.result, ForecastResult) and not \
            state.result.failed and state.result.error_pct is not None:
        blocks.show(blocks.note(checked_words(state.result)))
    elif st.button("Check against a run of every day", key="twin_forecast_check", type="tertiary",
                   icon=":material/rule:", help="One year, both ways; it takes a minute or two."):
        asked.ask(physics, about, ForecastTask(
            id=new_id(), chemistry=plate.chemistry,  # type: ignore[arg-type]
            usage=case.usage, days=CHECKED_DAYS, jump=JUMP, check=True,
            parameters=dict(calibrate.fitted(client, plate.id))))
        st.rerun()


# -- what is shown


def _cards(now: Case, what_if: Case | None) -> list[Html]:
    cards = [_years("Under the present use", now), _cycles("Full cycles left", now)]
    if what_if is not None:
        cards.append(_years("Under the other use", what_if, _cycles_words(what_if)))
    if what_if is not None and what_if.run is not None:
        return [*cards, _dominant("The other use loses most to", what_if)]
    return [*cards, _dominant("Loses most to", now)]


def _years(label: str, case: Case, below: str = "") -> Html:
    if case.life is None or math.isnan(case.life.days.value):
        return blocks.card(label, Text(formats.MISSING, ""), note=case.words)
    years, span = words.life(case.life.days.times(1.0 / YEAR_D))
    return blocks.card(label, Text(years, "years"), note=span, below=below)


def _cycles(label: str, case: Case) -> Html:
    """Of a life that ends beyond what is told, how many at the least."""
    told = UNKNOWN if case.life is None else case.life.cycles
    return blocks.card(label, Text(formats.number(told.value), ""),
                       note=words.span(told, 0) or "equivalent full cycles")


def _cycles_words(case: Case) -> str:
    """The same in one line, "" where it is not known."""
    if case.life is None or not case.life.cycles.known:
        return ""
    told = case.life.cycles
    return f"{formats.number(told.value)} full cycles left, {words.span(told, 0)}"


def _dominant(label: str, case: Case) -> Html:
    """What the run loses most to until 80 %, or by its end."""
    if case.run is None:
        return blocks.card(label, Text(formats.MISSING, ""),
                           note="the ageing model tells it")
    lost = losses(case.run)
    worst = max(lost, key=lambda name: lost[name])
    rest = ", ".join(f"{SINKS[name]} {formats.number(100 * share, 1)} %"
                     for name, share in lost.items() if name != worst and share >= 0.0005)
    return blocks.card(label, formats.quantity(100 * lost[worst], "%", 1), note=SINKS[worst],
                       below=rest and f"and {rest}", help="Of the cyclable lithium or of an "
                       "electrode, when the ageing run is down to 80 % or ends")


def losses(run: ForecastResult) -> dict[str, float]:
    """Shares lost when the run is down to 80 %, or at its end."""
    capacity = floats(run.capacity)
    below = (capacity <= 0.8).nonzero()[0]
    row = int(below[0]) if below.size else capacity.size - 1
    return {name: float(floats(getattr(run, name))[row]) for name in SINKS}


def _origin(now: Case, what_if: Case | None) -> Html:
    run = now.run or (what_if.run if what_if is not None else None)
    return blocks.EMPTY if run is None else origin.pill(run)


def _chart(study: Study | None, now: Case, what_if: Case | None) -> None:
    items = [LegendItem("Present use", "text", "dots"), LegendItem("90 % of it", "text3", "band")]
    if what_if is not None and what_if.life is not None:
        items.append(LegendItem("Other use", "discharge", "dots"))
    lives = [(case.life, hue) for case, hue in ((now, "text"), (what_if, "discharge"))
             if case is not None and case.life is not None]
    if not lives:
        return
    if life_chart.reported(study, lives[0][0]):
        items.append(LegendItem("Reported until now", "charge"))
    blocks.show(blocks.legend(items))
    plot.show(life_chart.figure(st.context.theme.type, lives, study), key="twin_life",
              height=CHART_PX, alt=life_chart.alt(lives[0][0]))


def _notes(plate: Plate, study: Study | None, use: Use, now: Case,
           what_if: Case | None) -> list[str]:
    lines = [_use_words(use), *_impossible(plate, use)]
    if now.life is not None:
        lines += [_weights(now.life, now.words, study), _judged_on(now.life)]
    run = now.run or (what_if.run if what_if is not None else None)
    if run is not None:
        lines += [origin.words(plate.chemistry, run), checked_words(run)]
    return [*lines, _score(study), *promised.lines(study, st.context.timezone)]


def checked_words(run: ForecastResult) -> str:
    """How far jumping over days is off, as it was measured with this very run."""
    if run.error_pct is None:
        return f"It jumps over {run.jump} days at a time; how far that is off was not checked."
    days = "the first year" if run.checked_days == CHECKED_DAYS else \
        f"the first {run.checked_days} days"
    return (f"It jumps over {run.jump} days at a time. The loss of {days} is "
            f"{formats.number(abs(run.error_pct), 1)} % off from a run of every day "
            f"({formats.number(_or_nan(run.checked_loss_pct), 2)} % against "
            f"{formats.number(_or_nan(run.full_loss_pct), 2)} %); later days were not checked.")


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _by_night(client: TwinClient, plate: Plate) -> str:
    """When its run came by itself, and when the next comes."""
    told, zone = client.twin_foreseen(plate.id), st.context.timezone
    return " ".join(line for line in (_ran(told, zone), _next(told, zone)) if line)


def _ran(told: Foreseen, zone: str | None) -> str:
    if told.failed:
        return f"The ageing run of its use has no result: {told.failed}."
    if told.run is None or told.run.made_s is None or told.read_at is None:
        return "No ageing run came by itself yet."
    made = formats.local_time(from_epoch(told.run.made_s), zone)
    return (f"Its ageing run was made {made}, of its use as read "
            f"{formats.local_time(told.read_at, zone)}.")


def _next(told: Foreseen, zone: str | None) -> str:
    if told.making:
        return "A new one is being made, or waits for its turn behind windows and people."
    if told.next_at is None:
        return "None comes by itself: forecast_at is empty in orrery.toml."
    return f"The next comes {formats.local_time(told.next_at, zone)}."


def _use_words(use: Use) -> str:
    told = use.used.usage
    told_words = (f"{told.discharge_c:.2f} C out and {told.charge_c:.2f} C in, "
                  f"{100 * told.depth:.0f} % deep once a day, {told.temperature_c:.0f} °C, rests "
                  f"at {100 * told.rest_soc:.0f} %")
    if use.words:
        return f"Its own use is not known ({use.words}); instead: {told_words}."
    known = formats.age(use.used.known_s)
    beyond = f" Left out: {use.used.beyond}." if use.used.beyond else ""
    return f"Present use, from {known} of current: {told_words}.{beyond}"


def _impossible(plate: Plate, use: Use) -> list[str]:
    """Where the sliders ask for what no cell can do."""
    depth = st.session_state.get(_key(plate, "depth"))
    rest = 100 * wished(plate, use).rest_soc
    if depth is None or depth <= rest:
        return []
    return [f"From {rest:.0f} % nothing can be discharged {depth} % deep; {rest:.0f} % deep is "
            "modelled."]


def _weights(life: Life, no_run: str, study: Study | None) -> str:
    """no_run: why no ageing run tells of it, "" where one does."""
    if no_run:
        return f"All of it is the law of its own fade: {no_run}."
    physics = 100 * life.physics_share
    if physics >= ALL_PCT:
        why = "its health was not studied yet" if study is None else study.judged.fade_words
        return f"All of it is the ageing model: {why or 'its own fade does not reach 80 %'}."
    return (f"Its own fade weighs {formats.number(100 - physics)} %, the ageing model "
            f"{formats.number(physics)} %.")


def _begins(soh: Interval) -> str:
    return "" if soh.known else "Its health is not known: it is forecast as a new pack."


def _judged_on(life: Life) -> str:
    """Of the interval of its own fade (`core.twin.fade.RATE_ERROR`), where that weighs anything."""
    return "" if 100 * life.physics_share >= ALL_PCT else HELD


def _score(study: Study | None) -> str:
    """How a forecast out of the first half of its past met the second."""
    if study is None or study.judged.fade is None:
        return "No forecast of its own fade was scored: there is none yet."
    try:
        told = past_score(study.soh_days, study.soh_share)
    except RequestError:
        return "No forecast of its own fade was scored: its past is too short to be halved."
    return (f"Out of the first half of its past, the second was foretold within "
            f"{formats.number(told.mape_pct, 2)} % on average; "
            f"{formats.number(100 * told.covered)} % of "
            f"{formats.counted(told.points, 'point')} lay inside of the interval.")
