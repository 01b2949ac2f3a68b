"""Names from outside are text in every block (law 11), and the blocks say what they are given."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import blocks, frame
from components.blocks import AlarmRow, Html, LegendItem, Pair, SourceRow, SystemRow, Text
from components.sparkline import sparkline, thinned
from components.tokens import DARK, LIGHT, SEED, rgb, tokens

NASTY = ["<script>alert(1)</script>", "\" onmouseover=\"alert(1)", "' style='x", "</div></style>",
         "Rack &amp; roll", "🔋 Rack", "نظام 2", "\u202eevil", "{{x}}", "%{y}"]
NAN = float("nan")
SHARED = Path(blocks.__file__).with_name("blocks.css")
SHEETS = sorted(path for path in SHARED.parent.glob("**/*.css") if "spheres" not in path.parts)

EVERY_BLOCK: list[Callable[[str], Html]] = [
    lambda name: blocks.title(name, Text(name, name), blocks.Alarm(name), sub=[name]),
    lambda name: blocks.heading(name, name),
    lambda name: blocks.pill("plain", name),
    lambda name: blocks.direction_mark("idle", name),
    lambda name: blocks.card(name, Text(name, name), note=name, icon=name),
    lambda name: blocks.state_box(name, name, name, name),
    lambda name: blocks.state_box("x", "y", do=blocks.join("see ", blocks.code(name))),
    lambda name: blocks.legend([LegendItem(name, "charge")]),
    lambda name: blocks.system_rows([SystemRow(name, "idle", 1.0, 2.0, 3.0, note=name)]),
    lambda name: blocks.alarm_rows([AlarmRow(3, name, name, name, name)]),
    lambda name: blocks.source_rows([SourceRow(name, 1.0, note=name)]),
    lambda name: blocks.details(name, [], [Pair(name, name, name)], name),
]


class _Reader(HTMLParser):
    """Collects what a browser would: tags, attributes' names, text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(markup: str) -> _Reader:
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader


@pytest.mark.parametrize("block", EVERY_BLOCK)
@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_text(block: Callable[[str], Html], name: str) -> None:
    read = _read(block(name))
    assert name in read.text
    assert read.tags <= {"div", "span", "i", "u", "b", "h1", "small", "code"}
    assert read.attributes <= {"class", "style", "title", "aria-hidden", "role", "aria-level",
                               "aria-current"}


@given(st.text())
def test_html_escapes_any_text(text: str) -> None:
    assert not re.search("[<>\"']", blocks.html(text))


def test_markup_passes_only_as_html() -> None:
    assert blocks.join("<b>", blocks.strong("<i>")) == "&lt;b&gt;<b>&lt;i&gt;</b>"
    assert not isinstance(blocks.strong("x") + "<b>", Html)


def test_title_says_the_alarm_in_its_own_span() -> None:
    told = blocks.title("5 systems, ", Text("1.24", "MW"), blocks.Alarm(", 2 alarms"))
    assert '<span class="al">, 2 alarms</span>' in told
    assert _read(told).text == "5 systems, 1.24MW, 2 alarms"


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_a_sheet_survives_st_html(sheet: Path) -> None:
    rules = sheet.read_text(encoding="utf-8")
    assert "<" not in rules
    assert rules.count("{") == rules.count("}")


def test_every_page_has_the_sheet_that_it_names() -> None:
    named = {package for *_, package in frame.PAGES if package}
    assert {sheet.stem for sheet in SHEETS} == {"blocks", *named}
    assert all(sheet.parent.name in (sheet.stem, "components") for sheet in SHEETS)


def test_a_class_of_one_page_has_no_rules_on_another() -> None:
    """Two pages that gave one name to two things were a mark in the wrong place once."""
    own = [set(re.findall(r"\.(o-[a-z0-9]+)", sheet.read_text())) for sheet in SHEETS
           if sheet.stem != "blocks"]
    shared = set(re.findall(r"\.(o-[a-z0-9]+)", SHARED.read_text()))
    for one, other in combinations(own, 2):
        assert one & other <= shared


def test_style_survives_st_html() -> None:
    rules = blocks.STYLE.removeprefix("<style>").removesuffix("</style>")
    assert "<" not in rules
    assert rules.count("{") == rules.count("}")
    assert "url(" not in rules
    assert "color-scheme:light" in blocks.style("light")
    assert SEED["dark"]["charge"] in blocks.style(palette="seed")


def test_every_variable_used_is_defined() -> None:
    used = {name for sheet in SHEETS
            for name in re.findall(r"var\(--o-([a-z0-9-]+)", sheet.read_text())}
    defined = set(re.findall(r"--o-([a-z0-9-]+):", blocks.STYLE))
    assert used <= defined


def test_pills_differ_by_more_than_colour() -> None:
    trip, warning, info = (blocks.tier_pill(tier, 2) for tier in (3, 2, 1))
    assert len({trip, warning, info}) == 3
    assert "2 trips" in trip
    assert "2 warnings" in warning
    assert "2 infos" in info
    assert blocks.tier_pill(3, 0) == ""
    assert blocks.tier_pill(0, 4) == ""


def test_zero_is_a_value_and_missing_is_not_zero() -> None:
    shown = _read(blocks.system_rows([SystemRow("A", "idle", 0.0, 0.0, 0.0)], head=False)).text
    assert "0W" in shown
    assert "0%" in shown
    missing = _read(blocks.system_rows([SystemRow("A", "unknown", NAN, NAN, NAN)], head=False)).text
    assert missing.count("–") == 3
    assert "0" not in missing


@pytest.mark.parametrize(("kw", "left", "width"), [
    (50.0, "50.0", "25.0"), (-50.0, "25.0", "25.0"), (0.0, "50.0", "0.0"), (500.0, "50.0", "50.0")])
def test_power_bar_grows_from_the_middle(kw: float, left: str, width: str) -> None:
    told = blocks.system_rows([SystemRow("A", "idle", kw, 50, 1)], full_kw=100)
    assert f"left:{left}%;width:{width}%" in told


@given(st.lists(st.floats(-1e6, 1e6) | st.just(NAN), max_size=9))
def test_bars_share_a_calm_scale_that_holds_all(powers: list[float]) -> None:
    scale = blocks.full_scale(powers)
    known = [abs(kw) for kw in powers if math.isfinite(kw)]
    assert scale > 0
    assert all(kw <= scale * 1.000001 for kw in known)
    assert float(f"{scale:.0e}"[0]) in (1, 2, 5)


def test_old_data_looks_old() -> None:
    assert "stale" in blocks.card("A", Text("1", "V"), age_s=850, stale=True)
    assert " old" in blocks.system_rows([SystemRow("A", "unknown", 1, 1, 850, stale=True)])
    assert " old" in blocks.source_rows([SourceRow("A", 850, stale=True)])


def test_a_cleared_alarm_has_no_bar() -> None:
    assert " t3" in blocks.alarm_rows([AlarmRow(3, "a", "b", "c", "d")])
    cleared = blocks.alarm_rows([AlarmRow(3, "a", "b", "c", "d", state="cleared")])
    assert " t3" not in cleared
    assert "Cleared" in cleared


def test_sparkline_keeps_a_spike_and_its_gaps() -> None:
    values = np.zeros(5000)
    values[1234], values[4000] = 9.0, -9.0
    few = thinned(values)
    assert few.size <= 120
    assert (few.max(), few.min(), few[-1]) == (9.0, -9.0, 0.0)
    assert sparkline([1.0, NAN, 2.0, 3.0]).count("M") == 2
    assert "<u" not in sparkline([1.0, 2.0, NAN])
    assert sparkline([NAN, NAN]) == ""
    assert sparkline([]) == ""
    assert sparkline([5.0]).count("<u") == 1


def test_both_themes_have_the_same_tokens() -> None:
    assert DARK.keys() == LIGHT.keys()
    assert tokens(None)["bg"] == DARK["bg"]
    assert tokens("light", "seed")["charge"] == SEED["light"]["charge"]
    assert rgb("#0f1216") == (15, 18, 22)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_can_be_read(theme: str) -> None:
    colour = tokens(theme)
    for name in ("text", "text2", "text3", "text4", "alarm"):
        assert _contrast(colour[name], colour["surface"]) >= 4.5, name
    assert _contrast(colour["on_alarm"], colour["alarm_fill"]) >= 4.5


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [part / 255 for part in rgb(colour)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
                        for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_markdown_signs_in_a_label_are_text() -> None:
    assert blocks.markdown(":red[x] **b** <i>") == r"\:red\[x\] \*\*b\*\* \<i\>"
    assert blocks.markdown("Rack 0") == "Rack 0"
