"""What was asked of the physics, for all who look: a task once asked is found again by what it is
about, on any screen and by anybody, until the app ends."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable
from contextlib import suppress

import streamlit as st

from components import blocks, formats
from components.blocks import Html
from core.errors import OrreryError, UnknownIdError
from core.twin.ports import Physics, TaskState
from core.twin.tasks import Task

MOST = 500
URGENCY = 20.0
"""A person waits: before the windows of all packs."""
_TASKS: weakref.WeakKeyDictionary[Physics, dict[Hashable, str]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def found(physics: Physics, about: Hashable) -> TaskState | None:
    """None for what was not asked, or is too long ago."""
    known = _TASKS.get(physics, {})
    task_id = known.get(about)
    if task_id is None:
        return None
    try:
        return physics.state(task_id)
    except UnknownIdError:
        known.pop(about, None)
        return None


def ask(physics: Physics, about: Hashable, task: Task) -> TaskState | None:
    """None, and words on the screen, where it is not taken."""
    try:
        state = physics.ask(task, URGENCY)
    except OrreryError as error:
        st.toast(blocks.markdown(str(error)), icon=":material/error:")
        return None
    with _LOCK:
        known = _TASKS.setdefault(physics, {})
        known[about] = state.id
        while len(known) > MOST:
            del known[next(iter(known))]
    return state


def drop(physics: Physics, about: Hashable) -> None:
    """It is as if it had not been asked."""
    _TASKS.get(physics, {}).pop(about, None)


def pending(state: TaskState | None) -> bool:
    return state is not None and not state.settled


def missing(physics: Physics | str) -> Html | None:
    """The line of a panel that needs a physics where none runs, None where it does; the head of the
    page says what to do."""
    if not isinstance(physics, str) and not physics.missing:
        return None
    return blocks.note("Not without the physics, which is not installed here.")


def progress(physics: Physics, state: TaskState, key: str, locked: bool = False) -> None:
    """How far it is, and a way to end it. locked: this viewer may not."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"twin_doing_{key}"):
        st.progress(min(max(state.share, 0.0), 1.0), text=blocks.markdown(_words(state)))
        if st.button("Cancel", key=f"twin_cancel_{key}", icon=":material/close:",
                     disabled=locked) and not locked:
            with suppress(UnknownIdError):  # it ended while the button was pressed
                physics.cancel(state.id)
            st.rerun()


def _words(state: TaskState) -> str:
    if state.standing == "running":
        return f"{state.words or 'starts'}, {formats.number(100 * state.share)} %"
    place = "next" if state.place in (None, 1) else f"number {state.place}"
    due = "" if state.due_at is None else \
        f", expected at {formats.local_time(state.due_at, st.context.timezone)}"
    return f"Waits, {place}{due}"


def trouble(state: TaskState) -> Html | None:
    """Why there is no result of a settled task."""
    if state.standing == "cancelled":
        return blocks.state_box("block", "Cancelled", "It was ended before it had a result.")
    if state.standing == "failed":
        return blocks.state_box("error", "The physics has no answer", state.words, error=True)
    return None
