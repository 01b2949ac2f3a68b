"""A press on a row counts, also where the refresh that it comes with takes the row away."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from components import blocks


def rows_that_change() -> None:
    """One row, another one each run; not drawn at all where `hidden`."""
    import streamlit as st

    from components import blocks
    from components.blocks import Html, PressRow

    run = st.session_state.run = st.session_state.get("run", 0) + 1
    if not st.session_state.get("hidden"):
        pressed = blocks.press_rows([PressRow(f"row {run}", f"Open row {run}", Html("<b></b>"))],
                                    key="some")
        st.text(f"pressed: {pressed}")


def told(app: AppTest) -> list[str]:
    return [str(one.value) for one in app.text]


def test_a_row_that_went_was_pressed_all_the_same_and_once() -> None:
    app = AppTest.from_function(rows_that_change).run()
    app.button[0].click().run()
    assert told(app) == ["pressed: row 1"]
    assert app.button[0].label == "Open row 2"
    app.run()
    assert told(app) == ["pressed: None"]


def test_a_press_does_not_wait_for_rows_that_come_much_later(
        monkeypatch: pytest.MonkeyPatch) -> None:
    app = AppTest.from_function(rows_that_change).run()
    app.session_state.hidden = True
    app.button[0].click().run()
    assert told(app) == []
    monkeypatch.setattr(blocks, "PRESS_HOLDS_S", 0.0)
    app.session_state.hidden = False
    app.run()
    assert told(app) == ["pressed: None"]
