"""Every name from outside is text on every page: not markup, not Markdown, not a formula."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import core.runtime
from components import blocks, frame
from components.alarms import history, picks
from components.alarms.choice import Shown
from components.api_client import LocalClient
from components.house import trends
from components.pump import past, record
from core.alarms.records import TRIP, Instance
from core.csv_text import FORMULA
from core.devices import channel_id
from core.heatpump.report import window
from tests.architecture.test_style import ROOT
from tests.components.hostile_site import SIGNS, HostileSite, evil, hostile_site, name
from tests.components.sent import sent

PACK = "system_home_rack_001"
MARKDOWN = {"label", "body", "help", "title", "captions", "content", "text"}
ESCAPED = re.compile(r"\\[!-/:-@\[-`{-~]")
ATTRIBUTES = {"class", "style", "title", "role", "aria-hidden", "aria-level", "aria-current",
              "aria-label", "data-command"}
TAGS = {"style", "div", "span", "i", "u", "b", "h1", "small", "code", "em", "pre", "time"}
PLOT = "orrery-spheres.plot"

# page or Home.py, address, kinds of names that it shows
VIEWS: list[tuple[str, dict[str, str], str]] = [
    ("Home.py", {}, "fleetlabel houselabel lostlabel system rack trouble historyerror"),
    ("pages/overview.py", {}, "system rack houselabel pumplabel alarmwords holdwho wish"),
    ("pages/alarms.py", {"state": "All states"},
     "cell who"),
    ("pages/alarms.py", {"view": "History"}, "system rack who"),
    ("pages/alarms.py", {"view": "Audit"},
     "who comment shelfreason suppressreason servicereason auditwho auditaction auditwhy "
     "auditbefore auditafter"),
    ("pages/fleet.py", {}, "packlabel firmware limitreason cell issuer answer"),
    ("pages/fleet.py", {"pack": PACK},
     "packlabel firmware limitreason partialwhy packpolicy cell issuer answer"),
    ("pages/fleet.py", {"view": "Spheres"}, "rack"),
    ("pages/coordinator.py", {},
     "holdwho holdwhy fleetlabel leftout leftwhy fallback stuck doubt wish wishwhy limit note "
     "shadow forecast method"),
    ("pages/coordinator.py", {"room": "Packs"}, "packlabel sharewhy shareno leftout allocated"),
    ("pages/coordinator.py", {"room": "Objectives"}, "setwho holdwhy series"),
    ("pages/coordinator.py", {"room": "Training"},
     "run learns runwords version verdict policy device deployed by previous packlabel packpolicy "
     "packbefore"),
    ("pages/space_balls.py", {}, "system"),
    ("pages/space_balls.py", {"path": "system_home"}, "system rack"),
    ("pages/space_balls.py", {"path": PACK}, "rack cell"),
    ("pages/digital_twin.py", {}, "rack system physics"),
    ("pages/digital_twin.py", {"pack": PACK}, "rack system cell physics"),
    ("pages/energy_monitor.py", {},
     "houselabel monitor inverter lostdevice lostlabel trouble"),
    ("pages/heat_pump.py", {},
     "pumplabel problem brand model interface mapmodel mapcited absent doubt alarmwords "
     "alarmcited profile"),
    ("pages/connections.py", {"source": "house"},
     "fleetlabel houselabel lostlabel trouble broker topic refusal payload rejection packlabel "
     "devicetopic devicewords devicepayload door doorasked doorwho talkin talkout talkerror "
     "historyerror"),
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileSite]:
    """The site is this process's own, so that pages find it by themselves."""
    with hostile_site(tmp_path_factory.mktemp("hostile")) as site, pytest.MonkeyPatch.context(
            ) as patch:
        st.cache_data.clear()
        patch.setattr(core.runtime, "_shared", site.runtime)
        yield site
    st.cache_data.clear()


@pytest.fixture
def client(hostile: HostileSite) -> LocalClient:
    return LocalClient(hostile.runtime)


# -- what a browser would make of it


class Reader(HTMLParser):
    """What a browser would make of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(key for key, _ in attrs)


def check_html(body: str) -> None:
    reader = Reader()
    reader.feed(body)
    reader.close()
    assert reader.tags <= TAGS, reader.tags - TAGS
    assert reader.attributes <= ATTRIBUTES, reader.attributes - ATTRIBUTES


def check_markdown(text: str) -> None:
    bare = ESCAPED.sub("", text)
    if "img src" in bare:
        assert not [sign for sign in SIGNS if sign in bare], text


def checked(app: AppTest) -> AppTest:
    """Nothing of a name is a sign anywhere; no part of the page failed."""
    assert not app.exception
    for message, field, text in sent(app):
        assert "has a defect" not in text
        if message == "Html":
            check_html(text)
        elif field in MARKDOWN or (message, field) == ("Radio", "options"):
            check_markdown(text)
        elif message == "BidiComponent" and '"figure":' in text:
            assert "<img" not in json.dumps(json.loads(text)["figure"])
    return app


def opened(file: str, **address: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / file), default_timeout=60)
    for key, value in address.items():
        app.query_params[key] = value
    return checked(app.run())


def told(app: AppTest) -> str:
    return unescape(" ".join(ESCAPED.sub(lambda found: found[0][1], text)
                             for _, _, text in sent(app)))


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click()
    return checked(app.run())


def sign_in(app: AppTest) -> AppTest:
    app.text_input(key="operator_name_page").set_value(name("operator"))
    next(one for one in app.button if one.label == "Sign in as operator").click()
    return checked(app.run())


# -- pages


def test_every_page_is_looked_at() -> None:
    assert {file for file, _, _ in VIEWS} == {"Home.py", *(file for file, *_ in frame.PAGES)}


@pytest.mark.parametrize(("file", "address", "kinds"), VIEWS,
                         ids=lambda one: one.split("/")[-1] if isinstance(one, str) else "")
def test_a_name_is_text(hostile: HostileSite, file: str, address: dict[str, str],
                        kinds: str) -> None:
    shown = told(opened(file, **address))
    missing = [kind for kind in kinds.split() if f"={kind}\"" not in shown
               and f'={kind}\\"' not in shown]
    assert not missing


@pytest.mark.parametrize(("file", "key"), [
    ("pages/alarms.py", "alarm"), ("pages/alarms.py", "element"), ("pages/alarms.py", "find"),
    ("pages/fleet.py", "pack"), ("pages/fleet.py", "find"), ("pages/space_balls.py", "path"),
    ("pages/digital_twin.py", "pack"), ("pages/digital_twin.py", "twin_find"),
    ("pages/coordinator.py", "site"), ("pages/coordinator.py", "hour"),
    ("pages/energy_monitor.py", "house"), ("pages/heat_pump.py", "pump"),
    ("pages/connections.py", "source")])
def test_an_address_is_text(hostile: HostileSite, file: str, key: str) -> None:
    opened(file, **{key: evil("address")})


def test_an_operator_s_name_and_what_he_confirms_are_text(hostile: HostileSite) -> None:
    app = sign_in(opened("pages/fleet.py", pack=PACK))
    assert "signed in as the operator =operator" in told(app)
    for action in ("release", "emergency_stop"):
        press(app, f"order_pack_{action}")
        (title,) = [text for kind, field, text in sent(app)
                    if (kind, field) == ("Dialog", "title")]
        assert "=packlabel" in title


def test_what_is_said_of_an_alarm_is_text(hostile: HostileSite, client: LocalClient) -> None:
    one = acknowledged(client)
    app = sign_in(opened("pages/alarms.py", alarm=picks.id_of(one.key)))
    assert "=comment" in told(app)
    press(app, "act_shelve")
    assert "=cell" in " ".join(text for kind, _, text in sent(app) if kind == "Html")


@pytest.mark.parametrize("reason", ["shelfreason", "suppressreason", "servicereason"])
def test_the_reason_of_what_is_hidden_is_text(hostile: HostileSite, client: LocalClient,
                                              reason: str) -> None:
    one = next(one for one in client.journal.instances()
               if one.hiding is not None and one.hiding.why == name(reason))
    assert f"={reason}" in told(opened("pages/alarms.py", alarm=picks.id_of(one.key),
                                       state="All states"))


def acknowledged(client: LocalClient) -> Instance:
    return next(one for one in client.journal.instances()
                if one.acknowledged_by and one.severity < TRIP)


def test_a_toast_is_text(hostile: HostileSite) -> None:
    app = press(sign_in(opened("pages/connections.py")), "reconnect_packs")
    assert "=reconnect" in app.toast[0].value


def test_a_label_has_no_sign_that_streamlit_finds_late() -> None:
    """Addresses and :material/…: are looked for once more when the backslashes are gone."""
    found = ESCAPED.sub(lambda one: one[0][1], blocks.markdown(
        "https://evil.example www.evil.example eve@evil.example :material/home: "
        ":material_home: :streamlit:"))
    for late in ("://", "www.", "eve@evil", ":material/", ":material_", ":streamlit:"):
        assert late not in found
    assert blocks.markdown("a\n\n# b\x07\u2028c") == r"a \# b c"


# -- exports


def formulas(text: str) -> list[str]:
    """Cells that a spreadsheet would run."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) > 1
    return [cell for row in rows for cell in row if cell.startswith(FORMULA) and not number(cell)]


def number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("kind", ["who", "cell"])
def test_the_history_of_alarms_runs_no_formula(client: LocalClient, kind: str) -> None:
    store, asked = client.alarm_store, history.query(client.now(), Shown(states=frozenset()))
    assert store is not None
    text = history.transitions_csv(store.history(asked), client.topology)
    assert not formulas(text)
    assert f"={kind}" in text


@pytest.mark.parametrize("kind", ["who", "comment", "shelfreason", "auditwho", "auditaction",
                                  "auditwhy", "auditbefore", "auditafter"])
def test_the_audit_runs_no_formula(client: LocalClient, kind: str) -> None:
    store = client.alarm_store
    assert store is not None
    text = history.audit_csv(store.audit(history.query(client.now(), Shown())), client.topology)
    assert not formulas(text)
    assert f"={kind}" in text


def test_the_tables_of_devices_run_no_formula(client: LocalClient) -> None:
    (device,) = client.heat_pumps
    report = past.told(client, device, window("24h", client.now()))
    assert "=alarmwords" in record.csv(report)
    end, shunt = client.now(), channel_id("home_shunt", "soc_pct")
    found = client.channel_series([shunt], end - timedelta(hours=6), end)
    for text in (record.csv(report), record.log_csv(report), trends.csv(found)):
        assert not formulas(text)
