"""Turning the Space Balls page back in time: the row that does it, and what it says.

The session holds a `core.playback.Playback` while the past is shown; the address mirrors its time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import streamlit as st

from components import blocks, formats
from components.api_client import Client, LocalClient
from components.blocks import Html
from components.space import seen, timeline
from core.errors import OrreryError, RequestError
from core.playback import Playback, asked_time, opened, playable, time_text, window
from core.replay import PastMoment

PARAMETER = "t"
SPEEDS = (1, 10, 60, 600)
WIDTHS: dict[str, timedelta | None] = {
    "Hour": timedelta(hours=1), "Day": timedelta(days=1), "Week": timedelta(weeks=1), "All": None}
STEPS = {"Hour": timedelta(seconds=1), "Day": timedelta(seconds=10),
         "Week": timedelta(minutes=1), "All": timedelta(minutes=1)}
PLAYING_S, HELD_S = 1.0, 10.0
SPAN_S = 5.0
GRAINS = {"frame": "", "minute": "minute values", "hour": "hour means"}
NO_ALARMS_KEPT = "alarms from the limits of cells, contactors not known"
_PLAYBACK, _LINKED, _SAID, _SPAN = ("space_playback", "space_t", "space_t_said", "space_span")
_WINDOW, _SPEED, _ZOOM, _SLIDER = ("space_window", "space_speed", "space_zoom", "space_slider")
_WIDTH = "space_width"
_PUT, MOST_PUT, ECHO = "space_put", 4, timedelta(seconds=2)

Span = tuple[datetime, datetime]


def client(live: LocalClient) -> LocalClient:
    """The page's client, which the address may have turned back; once in each run of the page."""
    asked = st.query_params.get(PARAMETER)
    arrives = st.session_state.get("page_before") != st.session_state.get("page_now")
    if asked is None and (arrives or st.session_state.get(_LINKED) is not None):
        _close()
        st.session_state[_LINKED] = None
    elif asked != st.session_state.get(_LINKED):
        st.session_state[_LINKED] = asked
        _open_link(live, asked or "")
    page = seen.seen(live)
    turn(page)
    return page


def turn(page: Client) -> None:
    """Fix the moment that everything drawn in this run is about."""
    playback = _playback()
    if playback is None:
        seen.forget_moment()
        seen.hold_newest(page)
        return
    now = page.present()
    span = _span(page)
    if span is not None:
        playback = playback.bounded(*span)
    if playback.is_over(now):
        playback = playback.pause(now)
    st.session_state[_PLAYBACK] = playback
    held, when = seen.shown_moment(page), playback.position(now)
    if held is None or held.time != when or held.error:
        seen.show_moment(page, page.moment(when))


def pace_s(page: Client, every_s: float) -> float:
    """Seconds between two drawings: `every_s` while live; a moment that is held changes only by
    its age, and each drawing takes the slider out of a person's hand."""
    playback = _playback()
    if playback is None:
        return every_s
    return PLAYING_S if playback.playing else HELD_S


def past_meta(page: Client) -> dict[str, str] | None:
    """What the viewer is told of the moment that is shown; None while live."""
    when = page.past
    return None if when is None else {"time": when.isoformat(), "words": timeline.words(when)}


def _playback() -> Playback | None:
    return cast("Playback | None", st.session_state.get(_PLAYBACK))


def _close() -> None:
    for key in (_PLAYBACK, _SAID, _SPAN, _WIDTH, _WINDOW, _PUT):
        st.session_state.pop(key, None)
    seen.forget_moment()


def _span(page: Client) -> Span | None:
    """Of history, as it was read within the last seconds; None where there is none."""
    now = page.present()
    held: tuple[datetime, Span | None] | None = st.session_state.get(_SPAN)
    if held is not None and timedelta(0) <= now - held[0] < timedelta(seconds=SPAN_S):
        return held[1]
    health = page.history()
    span = None
    if health is not None and health.oldest is not None and health.newest is not None:
        span = playable(health.oldest, health.newest)
    st.session_state[_SPAN] = now, span
    return span


# -- what a person does


def _open_link(page: LocalClient, text: str) -> None:
    """At the time of a link, or live with the reason why not."""
    _close()
    try:
        when = asked_time(text)
    except RequestError as error:
        st.session_state[_SAID] = f"The link's time is not used, this is live: {error}"
        return
    span = _open_at(page, when)
    if span is not None and not span[0] <= when <= span[1]:
        st.session_state[_SAID] = (
            f"{timeline.words(when)} is outside of history, which goes from "
            f"{timeline.words(span[0])} to {timeline.words(span[1])}: the nearest time is shown.")


def _open_at(page: Client, when: datetime | None) -> Span | None:
    """Paused at a time, by default at the newest; the span of history, None where there is none,
    which is said."""
    span, now = _span(page), page.present()
    if span is None:
        st.session_state[_SAID] = f"There is nothing to play back: {_why_none(page)}"
        return None
    playback = opened(*span, span[1] if when is None else when, now)
    st.session_state[_PLAYBACK] = playback
    st.session_state[_WIDTH] = timeline.zoom_for(WIDTHS, span[1] - playback.anchor)
    return span


def _why_none(page: Client) -> str:
    health = page.history()
    if health is None:
        return page.snapshot().history_error or "history is switched off in the configuration."
    return health.error or "history is still empty."


def _start(page: Client) -> None:
    _close()
    st.session_state[_LINKED] = None
    _open_at(page, None)
    _write_address(page)
    turn(page)
    st.rerun()


def _live() -> None:
    _close()
    st.session_state[_LINKED] = None
    st.query_params.pop(PARAMETER, None)
    st.rerun()


def toggle(page: Client) -> None:
    """Play or pause; while live, hold the moment. Draws the page anew."""
    playback, now = _playback(), page.present()
    if playback is None:
        _start(page)
    else:
        _go_on(page, playback.pause(now) if playback.playing
               else playback.play(now, _first_shown()))


def _first_shown() -> datetime | None:
    """Where the slider begins: what a person sees is what plays."""
    held: tuple[str, datetime, datetime] | None = st.session_state.get(_WINDOW)
    return None if held is None else held[1]


def _sought(page: Client, offset: timedelta, step: timedelta) -> None:
    playback, wall = _playback(), st.session_state.get(_SLIDER)
    if playback is None or not isinstance(wall, datetime):
        return
    when = timeline.moment_of(wall, offset)
    if not (_is_echo(page, playback, wall) or _is_here(page, playback, when, step)):
        st.session_state[_PUT] = ()
        _go_on(page, playback.seek(when, page.present()))


def _is_echo(page: Client, playback: Playback, wall: datetime) -> bool:
    """A value that the page put there itself, come back with a refresh that was on its way."""
    moves = playback.playing or page.present() - playback.since < ECHO
    return moves and wall in st.session_state.get(_PUT, ())


def _is_here(page: Client, playback: Playback, when: datetime, step: timedelta) -> bool:
    """A slider tells the nearest of its own steps when it is new."""
    here = playback.position(page.present()).replace(microsecond=0)
    return abs(when - here) <= step / 2


def _sped(page: Client) -> None:
    """Nothing else of the page changes by it, and a press of Play that follows at once would be
    lost in a run of the whole page."""
    playback = _playback()
    if playback is not None:
        _take(page, playback.at_speed(float(st.session_state[_SPEED]), page.present()))


def _zoomed() -> None:
    st.session_state[_WIDTH] = st.session_state[_ZOOM]


def _go_on(page: Client, playback: Playback) -> None:
    _take(page, playback)
    turn(page)
    st.rerun()


def _take(page: Client, playback: Playback) -> None:
    st.session_state[_PLAYBACK] = playback
    st.session_state.pop(_SAID, None)
    _write_address(page)


def _write_address(page: Client) -> None:
    """Where it stands now: while it plays, a link leads to where playing began."""
    playback = _playback()
    if playback is not None:
        text = time_text(playback.position(page.present()))
        st.query_params[PARAMETER] = text
        st.session_state[_LINKED] = text


# -- the row


def bar(page: Client) -> None:
    """One small button while live; else Live, play and pause, speed, zoom, the time."""
    playback, moment = _playback(), seen.shown_moment(page)
    with st.container(key="playback", gap="xsmall"):
        if playback is None or moment is None:
            st.button("Play back", icon=":material/history:", key="space_open", type="tertiary",
                      help="Hold this moment, then go back in time", on_click=_start, args=(page,))
        else:
            blocks.show(_time_line(page, playback, moment))
            _buttons(page, playback)
            _slider(page, playback, moment.time)
        _notes(moment)


def _time_line(page: Client, playback: Playback, moment: PastMoment) -> Html:
    ago = formats.age((page.present() - moment.time).total_seconds())
    words = ["not live", f"{ago} ago", GRAINS[moment.grain or "frame"],
             "" if moment.alarms_from == "history" else NO_ALARMS_KEPT,
             f"{playback.speed:g}x" if playback.playing else "paused"]
    return timeline.time_line(moment.time, [word for word in words if word])


def _buttons(page: Client, playback: Playback) -> None:
    st.session_state[_SPEED] = int(playback.speed)
    st.session_state[_ZOOM] = _width()
    with st.container(key="playback_tools", horizontal=True, vertical_alignment="center",
                      gap="xsmall"):
        st.button("Live", icon=":material/sensors:", key="space_live", type="primary",
                  help="Back to the present", on_click=_live)
        st.button("Pause" if playback.playing else "Play", key="space_play",
                  icon=f":material/{'pause' if playback.playing else 'play_arrow'}:",
                  on_click=toggle, args=(page,))
        st.segmented_control("Speed", SPEEDS, key=_SPEED, required=True, format_func=_times,
                             label_visibility="collapsed", on_change=_sped, args=(page,))
        st.segmented_control("Part of history", list(WIDTHS), key=_ZOOM, required=True,
                             label_visibility="collapsed", on_change=_zoomed)


def _width() -> str:
    return cast(str, st.session_state.get(_WIDTH, next(iter(WIDTHS))))


def _times(speed: int) -> str:
    return f"{speed}\u00d7"


def _slider(page: Client, playback: Playback, when: datetime) -> None:
    zoom = _width()
    start, end = _window(playback, when, zoom)
    if end - start < 2 * STEPS[zoom]:
        return
    offset = timeline.offset_at(when)
    low, high, at = (timeline.wall_of(one, offset) for one in (start, end, when))
    with st.container(key="playback_line", gap=None):
        blocks.show(_marks(page, start, end))
        _put(min(max(at, low), high))
        st.slider("Time", low, high, key=_SLIDER, step=STEPS[zoom], format=timeline.FORMAT,
                  label_visibility="collapsed", on_change=_sought,
                  args=(page, offset, STEPS[zoom]))
        blocks.show(timeline.ends(low, high))


def _put(wall: datetime) -> None:
    """In every run: of two that follow closely the browser may see the second alone, and a new
    slider would begin at its lowest value."""
    st.session_state[_SLIDER] = wall
    before: tuple[datetime, ...] = st.session_state.get(_PUT, ())
    if wall not in before:
        st.session_state[_PUT] = (*before[-MOST_PUT + 1:], wall)


def _window(playback: Playback, when: datetime, zoom: str) -> Span:
    """What the slider shows: it stands still while the time lies in it."""
    held: tuple[str, datetime, datetime] | None = st.session_state.get(_WINDOW)
    if held is not None and held[0] == zoom and held[1] <= when <= held[2]:
        return held[1], held[2]
    start, end = window(playback.start, playback.end, when, WIDTHS[zoom])
    st.session_state[_WINDOW] = zoom, start, end
    return start, end


def _marks(page: Client, start: datetime, end: datetime) -> Html:
    try:
        return timeline.marks(page.alarm_marks(start, end, timeline.PARTS))
    except OrreryError:
        return timeline.marks(None)


def _notes(moment: PastMoment | None) -> None:
    """What went wrong, in its place; Live goes on working."""
    said = st.session_state.get(_SAID, "")
    if said:
        blocks.show(blocks.state_box("schedule", "About the time of the link", said))
    if moment is not None and moment.error:
        blocks.show(blocks.state_box("history_off", "This moment cannot be read", moment.error,
                                     "It is tried again by itself; Live shows the present.",
                                     error=True))
    elif moment is not None and moment.grain is None:
        blocks.show(blocks.state_box("history_off", "Nothing is known of this time",
                                     "No reading was kept within a minute and a half before it.",
                                     "Move on, or choose another time."))
