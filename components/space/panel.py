"""The settings of the scene in a popover: its looks, what it counts in, how often it moves.

Every widget shows `settings.current()`; a change goes there, into the address, and from there to
whatever is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import blocks
from components.api_client import LocalClient
from components.space import defaults, grouping, settings
from components.space.mirror import mirror, taken
from components.space.settings import Settings
from core import paint
from core.errors import OrreryError
from core.topology import Topology
from core.vocabulary import BY_NAME

WHOLE = "space_whole"
"""Session key: the next run is to draw the whole page, for the change concerns all of it."""
OF_THE_WHOLE_PAGE = ("every_s", "sign", "temperature", "metrics")
PACES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
WORDS: Mapping[str, Mapping[Any, str]] = {
    "palette": {"safe": "Colour-blind safe", "seed": "Green and red", "grey": "Greyscale"},
    "layout": {"auto": "By itself", "ring": "Ring", "disc": "Disc", "wall": "Wall",
               "shell": "Shell", "orbits": "Orbits"},
    "sign": {"discharge": "+ is discharging", "charge": "+ is charging"},
    "temperature": {"C": "°C", "F": "°F"},
    "trail": {"": "None", "soc_pct": "State of charge", "power_kw": "Power"},
    "group": {"": "Nothing", "chemistry": "Chemistry", "state": "State"},
}
METRIC_WORDS = {"capacity_kwh": "Capacity"}


def took(field: str) -> None:
    """Callback of the widget of a field."""
    value = taken(field)
    settings.change(**{field: tuple(value) if isinstance(value, list) else value})
    if field in OF_THE_WHOLE_PAGE:
        st.session_state[WHOLE] = True


def show(client: LocalClient) -> None:
    """All groups of settings."""
    chosen = settings.current()
    with st.container(key="space_panel", gap="xsmall"):
        blocks.show(blocks.heading("Colours"))
        with _pair("colours"):
            _choice("palette", settings.PALETTES, chosen)
            _fixed(chosen)
        _ends(chosen)
        blocks.show(blocks.heading("Arrangement"))
        with _pair("arrangement"):
            _choice("layout", settings.LAYOUTS, chosen)
            _group(client.topology, chosen)
        with _pair("names"):
            _names(chosen)
            _choice("trail", settings.TRAILS, chosen)
        blocks.show(blocks.heading("Numbers"))
        with _pair("numbers"):
            _choice("sign", settings.SIGNS, chosen)
            _choice("temperature", settings.TEMPERATURES, chosen)
        _metrics(chosen)
        _pace(client, chosen)
        _own_defaults()


def _pair(name: str) -> DeltaGenerator:
    """Two side by side."""
    return st.container(key=f"space_pair_{name}")


LABELS = {"palette": "Palette", "layout": "Layout", "trail": "Trails of the last minutes",
          "group": "Group by", "sign": "Sign of power and current", "temperature": "Temperature"}


def _choice(field: str, options: tuple[str, ...], chosen: Settings) -> None:
    words, shown = WORDS[field], mirror(field, getattr(chosen, field))
    st.selectbox(LABELS[field], options, index=options.index(shown.default), key=shown.key,
                 format_func=lambda one: words.get(one, one.capitalize()), filter_mode=None,
                 on_change=partial(took, field))


def _group(topology: Topology, chosen: Settings) -> None:
    """A link may name an attribute that this site does not have."""
    known = grouping.known(topology)
    options = known if chosen.group in known else [*known, chosen.group]
    _choice("group", tuple(options), chosen)


def _fixed(chosen: Settings) -> None:
    """Where the colours have ends at all."""
    there = _colouring(chosen).kind in ("sequential", "diverging")
    fixed = mirror("fixed", chosen.scale != "auto")
    st.toggle("Fixed range of colours", value=fixed.default, key=fixed.key, on_change=_fix,
              disabled=not there)


def _ends(chosen: Settings) -> None:
    """Both ends of the colours, in the unit on screen."""
    one = _colouring(chosen)
    if chosen.scale == "auto" or one.kind not in ("sequential", "diverging"):
        return
    with _pair("ends"):
        for place, label in enumerate(("Low", "High")):
            end = mirror(f"end_{place}", round(paint.on_screen(one, chosen.scale[place]), 6))
            st.number_input(f"{label} [{one.unit}]", value=end.default, key=end.key,
                            step=one.narrowest / 2, format=f"%.{one.decimals}f",
                            on_change=_ends_taken)


def _colouring(chosen: Settings) -> paint.Colouring:
    one = paint.COLOURINGS[chosen.colour]
    return paint.in_fahrenheit(one) if chosen.temperature == "F" else one


def _fix() -> None:
    """A range to begin with: what this quantity can be."""
    colour = settings.current().colour
    settings.change(scale=FIRST_ENDS[colour] if taken("fixed") else "auto")


FIRST_ENDS = {"soc_pct": (0.0, 100.0), "temperature_c": (0.0, 50.0), "voltage_v": (2.5, 4.2),
              "soh_pct": (70.0, 100.0), "age_s": (0.0, 60.0),
              "deviation_voltage_v": (-50.0, 50.0), "deviation_temperature_c": (-5.0, 5.0),
              "deviation_soc_pct": (-5.0, 5.0)}


def _ends_taken() -> None:
    one = _colouring(settings.current())
    low, high = (paint.off_screen(one, float(taken(f"end_{place}"))) for place in (0, 1))
    settings.change(scale=(low, high))


def _names(chosen: Settings) -> None:
    names, most = mirror("show_labels", chosen.show_labels), mirror("label_cap", chosen.label_cap)
    with st.container(gap="xsmall"):
        st.toggle("Names", value=names.default, key=names.key,
                  on_change=partial(took, "show_labels"))
        st.slider("Most names at once", settings.FEWEST_LABELS, settings.MOST_LABELS,
                  value=most.default, key=most.key, disabled=not chosen.show_labels,
                  on_change=partial(took, "label_cap"))


def _metrics(chosen: Settings) -> None:
    shown = mirror("metrics", list(chosen.metrics))
    st.pills("Metrics in details, table and files", settings.METRICS, selection_mode="multi",
             default=shown.default, key=shown.key, on_change=partial(took, "metrics"),
             format_func=lambda one: METRIC_WORDS.get(one) or BY_NAME[one].label)


def _pace(client: LocalClient, chosen: Settings) -> None:
    shown = mirror("every_s", chosen.every_s)
    known = sorted({*PACES_S, chosen.every_s, shown.default})
    st.select_slider("Seconds between updates", known, value=shown.default, key=shown.key,
                     on_change=partial(took, "every_s"), format_func=lambda one: f"{one:g} s",
                     help=f"The site is asked every {client.period_s:g} s and never faster.")


def _own_defaults() -> None:
    why = defaults.why_not()
    with st.container(key="space_own", horizontal=True):
        st.button("Keep as my default", key="space_keep", on_click=_keep, disabled=bool(why),
                  icon=":material/bookmark:", help="This page opens so for you from now on.")
        st.button("Back to the start", key="space_reset", on_click=_reset,
                  icon=":material/restart_alt:", help="As the page is for everybody at first; "
                                                      "your own default is forgotten.")
    if why:
        blocks.show(blocks.note(why))


def _keep() -> None:
    kept = settings.texts(settings.current())
    _told(partial(defaults.keep, kept), "Kept: this page opens so for you from now on.")


def _reset() -> None:
    if not defaults.why_not() and defaults.mine():
        _told(partial(defaults.keep, {}), "Your own default is forgotten.")
    settings.start_anew()
    st.session_state[WHOLE] = True


def _told(act: partial[None], done: str) -> None:
    try:
        act()
    except OrreryError as error:
        st.toast(blocks.markdown(str(error)), icon=":material/error:")
    else:
        st.toast(done, icon=":material/bookmark:")
