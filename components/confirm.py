"""The second step of a command: what it does to whom until when, then a press or a typed name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import streamlit as st

from components import blocks, operator
from components.api_client import LocalClient
from components.blocks import Html
from core.confirmations import VALID, Confirmations
from core.errors import OrreryError, RequestError

_CONFIRMATIONS = Confirmations()
_STANDS = "confirm_stands_until"


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be confirmed. target: ids; action: with all its values. title: "Stop Pack 3 at
    once". effect, expiry: sentences. button: what the second press is called. word: what must
    be typed before, "" where a press is enough."""

    target: str
    action: str
    title: str
    effect: str
    expiry: str
    button: str
    icon: str = "warning"
    word: str = ""


def ask(client: LocalClient, step: Step, do: Callable[[str], None]) -> None:
    """Open the dialog; `do` gets the operator's name once it was confirmed in time. What it
    raises as OrreryError is shown. To be called from the run in which the first button was
    pressed, outside of live parts."""
    who = operator.name(client)
    if who is None:
        st.toast(blocks.markdown(operator.why_not(client)), icon=":material/lock:")
        return
    token = issue(client, step, who)
    st.session_state[_STANDS] = client.clock.monotonic_s() + VALID.total_seconds()
    st.dialog(blocks.markdown(step.title), icon=f":material/{step.icon}:")(second_step)(
        client, step, token, do)


def stands(client: LocalClient) -> bool:
    """Whether a second step may be open: a run of the whole page would close it."""
    until_s: float | None = st.session_state.get(_STANDS)
    return until_s is not None and client.clock.monotonic_s() < until_s


def issue(client: LocalClient, step: Step, who: str) -> str:
    """A token for this step, person and moment."""
    return _CONFIRMATIONS.issue(step.target, step.action, who, client.clock)


def second_step(client: LocalClient, step: Step, token: str, do: Callable[[str], None]) -> None:
    """What stands in the dialog."""
    blocks.show(_words(step))
    with st.form("confirm_form", border=False):
        typed = (st.text_input(f"Type {blocks.markdown(step.word)} to go on", key="confirm_word")
                 if step.word else "")
        pressed = st.form_submit_button(blocks.markdown(step.button), type="primary",
                                        width="stretch", key="confirm_press")
    if not pressed:
        return
    if typed.strip() != step.word:
        st.error(f"That is not “{blocks.markdown(step.word)}”.", icon=":material/keyboard:")
        return
    _redeem(client, step, token, do)


def _words(step: Step) -> Html:
    """The bar runs empty while the confirmation holds."""
    return Html(f'<div class="o o-confirm"><div>{escape(step.effect)}</div>'
                f'<div class="mut">{escape(step.expiry)}</div>'
                f'<div class="bar" style="--t:{VALID.seconds}s"><i></i></div>'
                f'<div class="mut">Confirm within {VALID.seconds} s.</div></div>')


def _redeem(client: LocalClient, step: Step, token: str, do: Callable[[str], None]) -> None:
    """The operator is asked for again: a sign-in may have ended while the dialog stood open."""
    who = operator.name(client)
    try:
        if who is None:
            raise RequestError(operator.why_not(client))
        _CONFIRMATIONS.redeem(token, step.target, step.action, who, client.clock)
        do(who)
    except OrreryError as error:
        st.error(blocks.markdown(str(error)), icon=":material/error:")
        return
    st.session_state.pop(_STANDS, None)
    st.rerun()
