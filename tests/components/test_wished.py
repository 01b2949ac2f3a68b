"""What a press asks of a widget is not lost to what the browser says of it meanwhile."""

from __future__ import annotations

from types import ModuleType

import pytest
import streamlit as st
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.scriptrunner_utils.script_requests import (
    RerunData,
    ScriptRequests,
    ScriptRequestType,
)
from streamlit.runtime.state.common import WidgetMetadata
from streamlit.runtime.state.session_state import SessionState

from components import wished
from components.fleet import choice as fleet
from components.twin import choice as twin


class Browser:
    """One selectbox, as Streamlit keeps it and as a browser tells of it."""

    def __init__(self, key: str, first: str) -> None:
        self.state, self.requests = SessionState(), ScriptRequests()
        self._key, self._id, self._first = key, f"$$ID-abc-{key}", first
        self.drawn()
        self.state.on_script_finished(frozenset({self._id}))

    def drawn(self) -> str:
        value: str = self.state.register_widget(WidgetMetadata(
            id=self._id, deserializer=lambda told: told or self._first,
            serializer=lambda value: value, value_type="string_value"), self._key).value
        return value

    def asks(self, fragment: str) -> None:
        """For a fragment; what it believes of the widget comes with it."""
        states = WidgetStates()
        widget = states.widgets.add()
        widget.id, widget.string_value = self._id, self._first
        self.requests.request_rerun(RerunData(widget_states=states, fragment_id=fragment))

    def taken(self, again: bool) -> None:
        """The next request is taken by a run; again: from within another."""
        found = self.requests.on_scriptrunner_yield() if again else \
            self.requests.on_scriptrunner_ready()
        assert found is not None
        assert found.type is ScriptRequestType.RERUN
        if again:
            self.state.on_script_finished(frozenset(), remove_stale_widgets=False)
        self.state.on_script_will_rerun(found.rerun_data.widget_states)


@pytest.mark.parametrize(("choice", "first", "wanted"), [(twin, "worst", "residual"),
                                                         (fleet, "alarms", "temperature")])
def test_a_press_is_kept_when_another_part_asks_for_its_next_run_meanwhile(
        choice: ModuleType, first: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(choice.SORT, first)
    monkeypatch.setattr(st, "session_state", browser.state)
    browser.asks("board")
    browser.taken(again=False)
    choice.sort_by(wanted)
    browser.asks("head")
    browser.requests.request_rerun(RerunData())
    browser.taken(again=True)
    wished.give(choice.SORT)
    assert browser.drawn() == wanted


def test_what_nobody_asked_for_changes_nothing() -> None:
    browser = Browser("twin_sort", "worst")
    browser.asks("board")
    browser.taken(again=False)
    assert browser.drawn() == "worst"
