"""What a person chose to see on the Space Balls page: one value, kept in the session and the link.

The address has every choice that is not the factory's, under the field's own name. A choice is
looked for in the address, then in the session, then in the person's own defaults, then here.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast
from urllib.parse import urlencode

import streamlit as st

from components import session
from components.api_client import LocalClient
from components.space import defaults
from core.errors import RequestError
from core.vocabulary import METRIC_NAMES

Scale = Literal["auto"] | tuple[float, float]

DEPTHS = (1, 2, 3, 0)
COLOURS = ("state", "soc_pct", "temperature_c", "voltage_v", "soh_pct", "deviation_voltage_v",
           "deviation_temperature_c", "deviation_soc_pct", "age_s", "alarm")
PALETTES = ("safe", "seed", "grey")
LAYOUTS = ("auto", "ring", "disc", "wall", "shell", "orbits")
VIEWS = ("scene", "map", "table")
SIGNS = ("discharge", "charge")
TEMPERATURES = ("C", "F")
TRAILS = ("", "soc_pct", "power_kw")
METRICS = (*METRIC_NAMES, "capacity_kwh")
MAPS = ("temperature_c", "voltage_v", "soc_pct")
MAP_KINDS = ("deviation", "value")
SORTS = ("name", "state", "alarms", "age_s", *METRICS)
FEWEST_LABELS, MOST_LABELS = 8, 200
FASTEST_S, SLOWEST_S = 0.2, 10.0
LONGEST_FILTER = 500
WIDEST = 1e6
_GROUP = re.compile(r"[a-z][a-z0-9_]{0,23}\Z")
_BETWEEN = ".."
_CHOSEN, _LINKED, _PROBLEMS = "space_chosen", "space_linked", "space_problems"
_REPLACED = "space_replaced"
LATE_S = 3.0
"""For so long a browser may still ask with the address of before a choice: it is told the new
one by the answer to the choice, and a page far away asks again before that comes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """depth: levels shown below the place, 0 = all. scale: ends of the colours in the unit of
    `colour` as the frame has it [°C, V, %; mV, K, %, s], or "auto". group: an attribute of the
    topology, "" for none. label_cap: most names at once. every_s: seconds between two refreshes
    [s], never faster than the engine. metrics: those of the details, the table and the export.
    map: the quantity of the map, "" as the scene is coloured. sort: a column of the table, with a
    minus the largest first.
    """

    depth: int = 1
    colour: str = "state"
    scale: Scale = "auto"
    palette: str = "safe"
    layout: str = "auto"
    group: str = ""
    show: str = "scene"
    filter: str = ""
    label_cap: int = 64
    show_labels: bool = True
    every_s: float = 1.0
    sign: str = "discharge"
    temperature: str = "C"
    trail: str = ""
    metrics: tuple[str, ...] = METRIC_NAMES
    map: str = ""
    map_kind: str = "deviation"
    sort: str = "-alarms"


FACTORY = Settings()
FIELDS = tuple(asdict(FACTORY))


def parsed(texts: Mapping[str, str], base: Settings = FACTORY) -> tuple[Settings, list[str]]:
    """`base` with what `texts` says of its fields, and for each text that says nothing allowed
    a sentence about it (law 11)."""
    found: dict[str, Any] = {}
    problems = []
    for name in FIELDS:
        if name in texts:
            try:
                found[name] = _READ[name](texts[name])
            except RequestError as error:
                problems.append(f"{name}={texts[name][:40]!r} is not used: {error}")
    return replace(base, **found), problems


def texts(chosen: Settings) -> dict[str, str]:
    """Every field as it stands in a link; `parsed` reads it back."""
    return {name: _written(value) for name, value in asdict(chosen).items()}


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        numbers = all(isinstance(part, float) for part in value)
        return (_BETWEEN if numbers and value else ",").join(map(_written, value))
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)


def _one_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise RequestError("one of " + ", ".join(word or "(nothing)" for word in allowed))
        return text
    return read


def _number(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise RequestError(f"a number from {low:g} to {high:g}")
    return value


def _depth(text: str) -> int:
    return int(_one_of(tuple(map(str, DEPTHS)))(text))


def _scale(text: str) -> Scale:
    if text == "auto":
        return "auto"
    first, between, second = text.partition(_BETWEEN)
    if not between:
        raise RequestError('"auto", or two numbers such as 20..45')
    low, high = (_number(part, -WIDEST, WIDEST) for part in (first, second))
    if not low < high:
        raise RequestError("the first end must be below the second")
    return low, high


def _group(text: str) -> str:
    if text and not _GROUP.match(text):
        raise RequestError("the name of an attribute in small letters")
    return text


def _filter(text: str) -> str:
    if len(text) > LONGEST_FILTER:
        raise RequestError(f"a filter of at most {LONGEST_FILTER} characters, not {len(text)}")
    return text


def _metrics(text: str) -> tuple[str, ...]:
    named = set(text.split(",")) - {""}
    if unknown := sorted(named - set(METRICS)):
        raise RequestError(f"{unknown[0][:40]!r} is none of " + ", ".join(METRICS))
    return tuple(name for name in METRICS if name in named)


def _sort(text: str) -> str:
    if text.removeprefix("-") not in SORTS:
        raise RequestError("with or without a minus before it, one of " + ", ".join(SORTS))
    return text


_READ: dict[str, Callable[[str], object]] = {
    "depth": _depth, "colour": _one_of(COLOURS), "scale": _scale,
    "palette": _one_of(PALETTES), "layout": _one_of(LAYOUTS), "group": _group,
    "show": _one_of(VIEWS), "filter": _filter,
    "label_cap": lambda text: round(_number(text, FEWEST_LABELS, MOST_LABELS)),
    "show_labels": lambda text: _one_of(("yes", "no"))(text) == "yes",
    "every_s": lambda text: _number(text, FASTEST_S, SLOWEST_S),
    "sign": _one_of(SIGNS), "temperature": _one_of(TEMPERATURES), "trail": _one_of(TRAILS),
    "metrics": _metrics, "map": _one_of(("", *MAPS)), "map_kind": _one_of(MAP_KINDS),
    "sort": _sort,
}


def current() -> Settings:
    """What this person sees now."""
    return cast(Settings, st.session_state.get(_CHOSEN, FACTORY))


def problems() -> list[str]:
    """What the link asked for and did not get, in sentences."""
    return cast("list[str]", st.session_state.get(_PROBLEMS, []))


def follow_address(client: LocalClient) -> Settings:
    """To be called once in each run of the whole page: takes over a link, browser's back or
    forward and a reload; writes the session's choices where another page was shown before.
    The person's own defaults stand in where neither says anything. What stands beside the page
    and was drawn before in another unit is drawn anew."""
    drawn = current().temperature
    defaults.meet(client)
    asked = {name: st.query_params[name] for name in FIELDS if name in st.query_params}
    arrives = st.session_state.get("page_before") != st.session_state.get("page_now")
    if _CHOSEN in st.session_state and not asked and arrives:
        _write(current())
    elif _CHOSEN not in st.session_state or _says_otherwise(asked):
        base = FACTORY if asked else own()
        st.session_state[_CHOSEN], st.session_state[_PROBLEMS] = parsed(asked, base)
        st.session_state[_LINKED] = asked
    if current().temperature != drawn:
        st.rerun()
    return current()


def _says_otherwise(asked: dict[str, str]) -> bool:
    """Whether an address is another than this session's, and not merely the last one, late."""
    replaced, at_s = st.session_state.get(_REPLACED, (None, -math.inf))
    late = asked == replaced and time.monotonic() - at_s < LATE_S
    return asked != st.session_state.get(_LINKED) and not late


def own() -> Settings:
    """The person's own defaults; what is kept there and no longer allowed is the factory's."""
    return parsed(defaults.mine())[0]


def change(**values: object) -> None:
    """Choose otherwise: for callbacks. What is not allowed is told and changes nothing."""
    asked = {name: _written(value) for name, value in values.items()}
    chosen, st.session_state[_PROBLEMS] = parsed(asked, current())
    st.session_state[_CHOSEN] = chosen
    _write(chosen)


def start_anew() -> None:
    """As the page is for everybody at first: for callbacks."""
    st.session_state[_CHOSEN], st.session_state[_PROBLEMS] = FACTORY, []
    _write(FACTORY)


def _write(chosen: Settings) -> None:
    """Into the address: what is not the factory's. One choice at least where a person's own
    defaults would otherwise stand in."""
    factory = texts(FACTORY)
    wanted = {name: text for name, text in texts(chosen).items() if text != factory[name]}
    if not wanted and defaults.mine():
        wanted = {"colour": chosen.colour}
    before = st.query_params.to_dict()
    after = {name: value for name, value in before.items() if name not in FIELDS} | wanted
    if after != before:
        st.query_params.from_dict(after)
    st.session_state[_REPLACED] = (st.session_state.get(_LINKED), time.monotonic())
    st.session_state[_LINKED] = wanted


def link(place_id: str | None) -> str:
    """The query of a link that shows anybody the same: the place, every choice, and what else
    the address says of the page."""
    kept = {name: value for name, value in st.query_params.to_dict().items()
            if name not in FIELDS and name != session.PATH_PARAMETER}
    where = {} if place_id is None else {session.PATH_PARAMETER: place_id}
    return "?" + urlencode(where | kept | texts(current()))
