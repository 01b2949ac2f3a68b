"""Connect a source: a form that tests the connection before it writes orrery.toml. Both are an
operator's, asked again at the press, and audited before they are done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import streamlit as st

from components import blocks, operator
from components.api_client import LocalClient
from core.alarms.records import AuditEntry
from core.errors import OrreryError, RequestError
from core.heatpump.profile import profile_ids
from core.secrets import FOR_SOURCES, NAMED_SO, is_for_sources, secret
from core.settings import (
    PERMISSION,
    NewSource,
    check_secrets,
    in_words,
    may_change,
    probe,
    save,
    written,
)

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
HOUSE_ID = re.compile(r"[a-z][a-z0-9_]{0,31}")
NEW_HOUSE = "A new house"
NEXT = "Test the connection first; what was tested can be saved."
NOBODY = "This app does not let visitors change its sources."
TEST, SAVE = "test a source", "save a source"


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the form. form: "text", "whole", "number", "choice" of `choices`, "secret" or
    "flag". A secret is the NAME of an environment variable that is for sources; in
    `.streamlit/secrets.toml` a top-level key has the same effect."""

    key: str
    label: str
    form: str = "text"
    needed: bool = True
    default: Any = None
    help: str = ""
    choices: tuple[str, ...] = ()


OF_PUMPS = (
    Field("profile", "Kind of heat pump", "choice", choices=profile_ids(),
          help="What its registers mean; a YAML file of your own goes into orrery.toml by hand"),
    Field("label", "Its name", default="Heat pump"),
    Field("auxiliary_kw", "Auxiliary heater, kW", "number", needed=False,
          help="What it is rated for"),
    Field("assumed_flow_lpm", "Assumed flow, l/min", "number", needed=False,
          help="Of the water while the compressor runs, where nothing measures it"))
WITHOUT_BATTERY = ("husdata-mqtt", "husdata-http", "influx", "prices-http")

KINDS: dict[str, tuple[str, tuple[Field, ...]]] = {
    "venus": ("Victron GX by MQTT", (
        Field("host", "Address of the GX", help="As the GX shows it: Settings, Ethernet or Wi-Fi"),
        Field("port", "Port", "whole", default=1883),
        Field("tls", "TLS", "flag", needed=False, default=False),
        Field("ca_file", "File of its certificate authority", needed=False),
        Field("portal_id", "Portal id", needed=False, help="Learnt from the GX when left out"),
        Field("username", "User", needed=False),
        Field("password_secret", "Variable with the password", "secret", needed=False),
        Field("instance", "Battery's device instance", "whole",
              help="On the GX: the battery, Device, VRM instance"),
        Field("battery_name", "Battery's name", default="Battery"))),
    "vrm": ("Victron VRM portal", (
        Field("site_id", "Installation", "whole", help="The number in the portal's address"),
        Field("token_secret", "Variable with the access token", "secret"),
        Field("instance", "Battery monitor's device instance", "whole", needed=False))),
    "solark": ("Sol-Ark cloud", (
        Field("plant_id", "Plant", "whole"),
        Field("username", "E-mail"),
        Field("password_secret", "Variable with the password", "secret"),
        Field("time_zone", "Plant's time zone", default="UTC",
              help="An IANA name such as America/Chicago"))),
    "husdata-mqtt": ("Heat pump: Husdata H60 or H66 by MQTT", (
        *OF_PUMPS,
        Field("host", "Address of the MQTT broker"),
        Field("port", "Port", "whole", default=1883),
        Field("tls", "TLS", "flag", needed=False, default=False),
        Field("prefix", "Gateway's MAC address", needed=False,
              help="As its topics begin; learnt where only one gateway publishes"),
        Field("username", "User", needed=False),
        Field("password_secret", "Variable with the password", "secret", needed=False))),
    "husdata-http": ("Heat pump: Husdata H60 or H66 by HTTP", (
        *OF_PUMPS,
        Field("base_url", "Address of the gateway", help="http://192.168.1.30"))),
    "influx": ("Heat pump: InfluxDB", (
        *OF_PUMPS,
        Field("base_url", "Address of the server", help="http://192.168.1.20:8086"),
        Field("language", "Language", "choice", choices=("influxql", "flux"),
              help="InfluxQL: 1.x, 3, and 2.x with a DBRP mapping; Flux: 2.x"),
        Field("bucket", "Bucket or database", default="heatpump"),
        Field("org", "Organisation", needed=False, help="For Flux"),
        Field("pump", "Value of the tag pump", needed=False,
              help="Where several pumps share the bucket"),
        Field("token_secret", "Variable with the token", "secret", needed=False))),
    "prices-http": ("Prices of the day ahead by HTTP", (
        Field("base_url", "Address of the server", help="https://api.energy-charts.info"),
        Field("path", "What is asked for", default="/price?bzn=SE3",
              help="Path and, behind a ?, what is asked"),
        Field("preset", "How it answers", "choice", choices=("energy-charts", "awattar"),
              help="A form of your own goes into orrery.toml by hand"),
        Field("label", "Its name", default="Prices"),
        Field("token_secret", "Variable with the token", "secret", needed=False))),
    "remote": ("Another Orrery", (
        Field("base_url", "Address", help="http://192.168.1.20:9999"),
        Field("api_key_secret", "Variable with its API key", "secret", needed=False))),
}


def tool(client: LocalClient) -> None:
    """A button of the page's head that opens the form."""
    if st.button("Connect a source", icon=":material/add_link:", key="connect"):
        _dialog(client)


@st.dialog("Connect a source", icon=":material/add_link:", width="large")
def _dialog(client: LocalClient) -> None:
    kind = st.selectbox("What", list(KINDS), format_func=lambda key: KINDS[key][0],
                        key="connect_kind")
    left, right = st.columns(2)
    with left:
        values = {one.key: _input(client, kind, one) for one in KINDS[kind][1]}
    with right:
        name = st.text_input("Name in orrery.toml", kind, key=f"connect_{kind}_name")
        house_id, house = _house(client, with_battery=kind not in WITHOUT_BATTERY)
    mistakes = _mistakes(kind, values, name, house_id)
    new = NewSource(kind, name, _options(kind, values, house_id), house)
    with st.container(key="connect_says"):
        blocks.show(blocks.note(mistakes[0] if mistakes else NEXT))
    _act(client, new, ready=not mistakes)


def why_not(client: LocalClient) -> str:
    """Why this viewer may not change the sources of this app, and what to do; "" where they may."""
    return operator.refused(client) if may_change(client.config) else NOBODY


def _input(client: LocalClient, kind: str, one: Field) -> Any:
    key = f"connect_{kind}_{one.key}"
    label = one.label if one.needed else f"{one.label} (optional)"
    if one.form == "flag":
        return st.toggle(one.label, value=bool(one.default), key=key)
    if one.form == "choice":
        return st.selectbox(label, one.choices, key=key, help=one.help or None)
    if one.form == "number":
        return st.number_input(label, min_value=0.0, value=one.default, key=key,
                               help=one.help or None)
    if one.form == "whole":
        return st.number_input(label, min_value=0, step=1, value=one.default, key=key,
                               help=one.help or None)
    value = st.text_input(label, one.default or "", key=key, max_chars=200,
                          help=one.help or None).strip()
    if one.form == "secret":
        blocks.show(blocks.note(_about(client, value)))
    return value


def _about(client: LocalClient, name: str) -> str:
    if not is_for_sources(name) or why_not(client):
        return (f"The name of an environment variable, or of a key in secrets.toml; it begins with "
                f"{FOR_SOURCES}")
    return f"{name} is known" if secret(name) else f"{name} is not known to this app"


def _house(client: LocalClient, *, with_battery: bool) -> tuple[str, dict[str, Any]]:
    """The id of the house, and its entry when it is new."""
    known = {house.id: house.label for house in client.all_houses}
    chosen = st.selectbox("House", [*known, NEW_HOUSE], index=len(known), key="connect_house",
                          format_func=lambda one: known.get(one, one))
    if chosen != NEW_HOUSE:
        return str(chosen), {}
    label = st.text_input("Its name", "Home", key="connect_label", max_chars=60)
    house_id = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    house: dict[str, Any] = {"id": house_id, "label": label}
    if not with_battery:
        return house_id, house
    for key, words in (("capacity_kwh", "Battery's real capacity, kWh"),
                       ("nominal_v", "Battery's nominal voltage, V")):
        value = st.number_input(words, min_value=0.0, value=None, key=f"connect_{key}")
        if value:
            house[key] = value
    return house_id, house


def _mistakes(kind: str, values: Mapping[str, Any], name: str, house_id: str) -> list[str]:
    found = [f"{one.label} is needed." for one in KINDS[kind][1]
             if one.needed and values[one.key] in ("", None)]
    found += [f"{one.label}: {NAMED_SO}, not the secret itself." for one in KINDS[kind][1]
              if one.form == "secret" and values[one.key] and not is_for_sources(values[one.key])]
    if not NAME.fullmatch(name):
        found.append("The name: small letters, digits and hyphens.")
    if not HOUSE_ID.fullmatch(house_id):
        found.append("The house's name needs a letter first.")
    return found


def _options(kind: str, values: Mapping[str, Any], house_id: str) -> dict[str, Any]:
    told = {key: value for key, value in values.items() if value not in ("", None, False)}
    if kind == "venus":
        told["batteries"] = [{"instance": told.pop("instance", 0),
                              "name": told.pop("battery_name", "Battery")}]
    if kind == "influx":
        told.setdefault("token_secret", "")
    if kind == "prices-http":
        told["path"], _, asked = str(told.get("path", "/")).partition("?")
        told["query"] = dict(parse_qsl(asked))
    return {**told, "house": house_id}


def _act(client: LocalClient, new: NewSource, *, ready: bool) -> None:
    """Test, then save what was tested; without the right to, only the lines to copy."""
    lines, why = written(new), why_not(client)
    with st.container(horizontal=True):
        if st.button("Test connection", icon=":material/cable:", key="connect_test",
                     disabled=not ready or bool(why), help=why or None) and ready:
            _test(client, new, lines)
        tested = st.session_state.get("connect_tested") == lines
        if st.button("Save", type="primary", key="connect_save",
                     disabled=not tested or bool(why), help=why or None) and tested:
            _save(client, new)
    if why:
        blocks.show(_closed(client, why))
    if ready:
        st.code(lines, language="toml")


def _closed(client: LocalClient, why: str) -> blocks.Html:
    by_hand = "Add the lines below to orrery.toml on its machine and start it again."
    if may_change(client.config):
        return blocks.state_box("lock", "Operators may change sources", why, by_hand)
    return blocks.state_box("lock", why, by_hand,
                            "Or allow it: name [operators] in orrery.toml, or set "
                            f"{PERMISSION}=1 where it runs.")


def _begun(client: LocalClient, action: str, new: NewSource) -> str:
    """Who acts, once it stands in the audit; raises OrreryError where one may not, or where it
    cannot be kept."""
    if not may_change(client.config):
        raise RequestError(NOBODY)
    who = operator.acting(client)
    check_secrets(new)
    client.audit(AuditEntry(client.now(), who, action, new.name, "", "", "", in_words(new)))
    return who


def _failed(client: LocalClient, who: str, action: str, new: NewSource, outcome: str) -> None:
    entry = AuditEntry(client.now(), who, f"{action}: outcome", new.name, "", "", in_words(new),
                       outcome)
    try:
        client.audit(entry)
    except OrreryError as error:
        st.toast(blocks.markdown(str(error)), icon=":material/error:")


def _test(client: LocalClient, new: NewSource, lines: str) -> None:
    st.session_state.pop("connect_tested", None)
    try:
        who = _begun(client, TEST, new)
    except OrreryError as error:
        blocks.show(blocks.state_box("lock", "Not tested", str(error), error=True))
        return
    with st.spinner("Connecting, at most 20 s"):
        try:
            found = probe(new)
        except OrreryError as error:
            _failed(client, who, TEST, new, "no connection")
            blocks.show(blocks.state_box("cloud_off", "No connection", str(error), error=True))
            return
    st.session_state["connect_tested"] = lines
    blocks.show(blocks.state_box("check", "Connected", found))


def _save(client: LocalClient, new: NewSource) -> None:
    try:
        who = _begun(client, SAVE, new)
    except OrreryError as error:
        blocks.show(blocks.state_box("lock", "Not saved", str(error), error=True))
        return
    try:
        path = save(new, client.config, client.records)
        live = client.restart()
    except OrreryError as error:
        _failed(client, who, SAVE, new, "not saved")
        blocks.show(blocks.state_box("error", "Not saved", str(error), error=True))
        return
    st.session_state.pop("connect_tested", None)
    then = "" if live else "; start Orrery again to use it"
    where = "the site's database" if path is None else path.name
    st.toast(blocks.markdown(f"Saved in {where}{then}"), icon=":material/check:")
    st.rerun()
