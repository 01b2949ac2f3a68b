"""Prices of the hours ahead out of a file: an operator takes them in, then they can be chosen."""

from __future__ import annotations

import msgspec
import streamlit as st

from components import blocks, formats, operator
from components.api_client import LocalClient
from components.coordinator import tariffs, words
from core.alarms.records import AuditEntry
from core.coordinator.asked import Coordination
from core.coordinator.price_checks import SINGLE
from core.coordinator.prices import MOST_BYTES, PriceFormat, Prices
from core.coordinator.view import SiteView
from core.errors import OrreryError, RequestError

TOLD = "coordinator_prices_told"
UNITS = ("kWh", "ct/kWh", "MWh")
MOST = PriceFormat().most_per_kwh


def show(client: LocalClient, known: Coordination, view: SiteView) -> None:
    """Changes nothing of what is steered by, so one step is enough."""
    why = operator.why_not(client)
    with st.expander("Prices out of a file, or from a server"):
        blocks.show(blocks.note(blocks.join(
            "CSV or JSON with a time and a price in each row. A server that tells prices by HTTP "
            "is added under Connections, or in orrery.toml as a source of kind ",
            blocks.code("prices-http"), "; it stands among the tariffs above.")))
        told = st.file_uploader("File with prices", ["csv", "json"], key="coordinator_file",
                                disabled=bool(why), max_upload_size=max(1, MOST_BYTES // 10**6))
        with st.container(key="coordinator_columns"):
            name = st.text_input("Name of the series", key="coordinator_series", max_chars=80,
                                 disabled=bool(why))
            form, currency = _form(view, bool(why))
        pressed = st.button("Take in", key="coordinator_take", disabled=bool(why) or told is None,
                            help=why or None, icon=":material/upload_file:")
        if why:
            blocks.show(blocks.note(why))
        done = st.session_state.pop(TOLD, "")
        if done:
            st.success(blocks.markdown(done), icon=":material/check:")
        if pressed and told is not None:
            _take(client, known, view, (name or told.name).strip(), told.getvalue(), form, currency)


def _form(view: SiteView, off: bool) -> tuple[dict[str, object], str]:
    """As `PriceFormat` reads it, and the currency."""
    def text(label: str, begin: str, key: str, most: int = 60) -> str:
        return st.text_input(label, begin, key=f"coordinator_{key}", max_chars=most, disabled=off)

    currency = text("Currency", view.currency or "EUR", "file_currency", 3)
    unit = st.selectbox("Price is per", UNITS, key="coordinator_unit", disabled=off) or UNITS[0]
    told = {"time": text("Column of the time", "time", "column_time"),
            "price": text("Column of the price", "price", "column_price"),
            "export": text("Column for export, if any", "", "column_export"),
            "time_zone": text("Zone of times without one", "UTC", "column_zone"),
            "unit": unit,
            "import_added": st.number_input("Added to import, per kWh", -100.0, 100.0, 0.0, 0.01,
                                            "%.3f", key="coordinator_added", disabled=off),
            "most_per_kwh": st.number_input(
                "Highest ordinary price, per kWh", 0.01, 1000.0, MOST, 1.0, "%.2f",
                key="coordinator_most", disabled=off,
                help=f"most_per_kwh: prices whose median is higher are refused, and a single price "
                f"of more than {SINGLE:g} times it")}
    return dict(told), currency.strip().upper()


def _take(client: LocalClient, known: Coordination, view: SiteView, name: str, file: bytes,
          form: dict[str, object], currency: str) -> None:
    who = operator.name(client)
    try:
        if who is None:
            raise RequestError(operator.why_not(client))
        asked = _as_format(form)
        client.audit(AuditEntry(client.now(), who, "take prices in", view.element, "", "", "",
                                f"{name[:80]}, {len(file)} bytes"))
        found = known.take_prices(view.site, name, file, asked, currency, who)
    except OrreryError as error:
        st.error(blocks.markdown(str(error)), icon=":material/error:")
        return
    st.session_state[TOLD] = _found(found, currency)
    tariffs.take(name)
    st.rerun()


def _as_format(form: dict[str, object]) -> PriceFormat:
    """Raises RequestError."""
    try:
        return msgspec.convert(form, PriceFormat)
    except msgspec.ValidationError as error:
        raise RequestError(f"Say how the file tells its prices: {error}") from error


def _found(found: Prices, currency: str) -> str:
    """"48 prices, from Sat 21 Nov 00:00 on, median 0.21 EUR/kWh. ..."."""
    return " ".join([
        f"{formats.counted(found.series.time_s.size, 'price')} taken in, median "
        f"{words.price(found.median, currency)}. The plan with them stands beside; nothing is "
        "applied yet.",
        *(words.sentence(one) for one in found.words)])
