"""Who this viewer is: an operator for 12 h after a sign-in, else somebody who looks."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import streamlit as st

from components import blocks
from components.api_client import LocalClient
from core.actors import LOOKS
from core.alarms.records import AuditEntry
from core.config import Config
from core.errors import OrreryError, RequestError
from core.operators import SESSION, Operators, TooManyFailuresError, provided_name

KEY, REFUSAL = "operator", "operator_refusal"
SIGNED_OUT = "signed out"
HOW = {"none": "Nobody may command here: orrery.toml names no [operators].",
       "local": "You are looking only. Sign in as operator first."}


@st.cache_resource(max_entries=4, show_spinner=False)
def _door_of(_config: Config, digest: int) -> Operators:
    return Operators(_config)


def _door(client: LocalClient) -> Operators:
    """One a process and configuration: failures of all viewers count together."""
    return _door_of(client.config, _digest(client))


def _digest(client: LocalClient) -> int:
    return hash((client.config.file, repr(client.config.operators)))


def name(client: LocalClient) -> str | None:
    """Of the operator whom this browser session belongs to; None: a viewer."""
    if client.config.operators.mode == "oidc":
        try:
            return _door(client).by_claims(st.user.to_dict(), client.clock.now())
        except RequestError:
            return None
    signed = st.session_state.get(KEY)
    return signed.who if signed is not None and _holds(signed, client) else None


class SignedIn(NamedTuple):
    """When by the clock, when by its `monotonic_s`, and under which configuration."""

    who: str
    at: datetime
    at_s: float
    options: int


def signed_in(client: LocalClient, who: str) -> SignedIn:
    """What the browser session remembers of a sign-in of this moment."""
    return SignedIn(who, client.clock.now(), client.clock.monotonic_s(), _digest(client))


def _holds(signed: SignedIn, client: LocalClient) -> bool:
    """Neither too old nor of another configuration: whoever was taken out of it is out. Too old
    by either clock: one that is set back lengthens nothing, one that sleeps with the machine
    neither."""
    age_s = client.clock.monotonic_s() - signed.at_s
    return (age_s < SESSION.total_seconds() and client.clock.now() - signed.at < SESSION
            and signed.options == _digest(client))


def why_not(client: LocalClient) -> str:
    """Why this viewer may not command, and what to do; "" for an operator."""
    if name(client) is not None:
        return ""
    mode = client.config.operators.mode
    if mode == "oidc":
        try:
            _door(client).by_claims(st.user.to_dict(), client.clock.now())
        except RequestError as error:
            return str(error)
    if st.session_state.get(KEY) is not None:
        return "Your sign-in as operator is over: sign in again."
    return HOW.get(mode, "")


def refused(client: LocalClient) -> str:
    """As `why_not`, for what anybody may do where nobody signs in."""
    return "" if client.config.operators.mode == "none" else why_not(client)


def acting(client: LocalClient) -> str:
    """Who acts, for the audit, asked again at the press: the operator, LOOKS where nobody signs in.
    Raises RequestError for a viewer."""
    who = name(client)
    if who is None and client.config.operators.mode != "none":
        raise RequestError(why_not(client))
    return who or LOOKS


def sign_in_button(client: LocalClient, key: str = "page") -> None:
    """Sign in, or who is signed in and the way out; `key` differs from place to place. Whom a
    provider let in finds the way out in the sidebar, operator or not."""
    who, mode = name(client), client.config.operators.mode
    if who is not None:
        _signed_in(client, who, key)
    elif mode == "local":
        _form(client, key)
    elif mode == "oidc" and key == "page":
        blocks.show(blocks.note(why_not(client)))
    if key == "sidebar" and client.sign_in_mode == "oidc" and (who is None or mode == "local"):
        _let_in(client)


def _signed_in(client: LocalClient, who: str, key: str) -> None:
    with st.container(key=f"operator_{key}"), st.popover(
            blocks.markdown(who), icon=":material/badge:", width="content"):
        blocks.show(blocks.note(f"You are signed in as the operator {who}."))
        if client.config.operators.mode == "oidc":
            st.button("Sign out", key=f"operator_out_{key}", icon=":material/logout:",
                      on_click=_leave, args=(client, who))
        elif st.button("Sign out", key=f"operator_out_{key}", icon=":material/logout:"):
            note(client, who, SIGNED_OUT, "")
            del st.session_state[KEY]
            st.rerun()


def _let_in(client: LocalClient) -> None:
    """Somebody whom the provider let in, to look."""
    who = str(st.user.get("email") or "Signed in")
    with st.container(key="let_in"), st.popover(
            blocks.markdown(who), icon=":material/person:", width="content"):
        blocks.show(blocks.note("You are signed in to look at this site."))
        st.button("Sign out", key="let_in_out", icon=":material/logout:", on_click=_leave,
                  args=(client, provided_name(st.user.to_dict())))


def _leave(client: LocalClient, who: str) -> None:
    """Also at the provider."""
    note(client, who, SIGNED_OUT, "")
    st.logout()


def _form(client: LocalClient, key: str) -> None:
    door = _door(client)
    with st.container(key=f"operator_{key}"), st.popover(
            "Sign in", icon=":material/login:", width="content"):
        if not door.asks_password:
            blocks.show(blocks.note("All here is simulated or recorded: any name will do. It "
                                    "stands in the audit of what you do."))
        with st.form(f"operator_form_{key}", border=False):
            told = st.text_input("Name", key=f"operator_name_{key}", max_chars=80)
            password = (st.text_input("Password", type="password", max_chars=1024,
                                      key=f"operator_password_{key}")
                        if door.asks_password else "")
            pressed = st.form_submit_button("Sign in as operator", type="primary",
                                            width="stretch")
        if pressed:
            _sign_in(client, told, password)
        if st.session_state.get(REFUSAL):
            st.error(blocks.markdown(st.session_state[REFUSAL]), icon=":material/lock:")


def _address() -> str | None:
    """Of the browser; None at this machine itself, and where Streamlit knows no connection."""
    found = st.context.ip_address
    return found if isinstance(found, str) else None


def _sign_in(client: LocalClient, told: str, password: str) -> None:
    try:
        who = _door(client).sign_in(told, password, client.clock.now(), _address())
    except RequestError as error:
        st.session_state[REFUSAL] = str(error)
        if not isinstance(error, TooManyFailuresError):
            shown = _door(client).shown(told)
            client.turned_away.add("operator", "Sign in as operator", shown)
            note(client, shown, "sign-in refused", str(error))
        return
    st.session_state[REFUSAL] = ""
    st.session_state[KEY] = signed_in(client, who)
    note(client, who, "signed in", "")
    st.rerun()


def note(client: LocalClient, who: str, action: str, why: str) -> None:
    """A sign-in that cannot be written down still counts: the commands after it are kept or
    refused by themselves."""
    entry = AuditEntry(client.clock.now(), who, action, "", "", why, "", "")
    try:
        client.audit(entry)
    except OrreryError as error:
        st.toast(blocks.markdown(str(error)), icon=":material/error:")
