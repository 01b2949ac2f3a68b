"""The tools above the scene as a person uses them: one journey, on a desk and on a phone."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page

from scripts.app_process import AppProcess
from tests.browser.driver import WAIT_MS, open_scene, settle, wait_path
from tests.browser.patience import expect

PLACE = "system_0_cluster_0"


def opened(lend: Callable[..., Page], width: int = 1440) -> Page:
    return lend(viewport={"width": width, "height": 900}, reduced_motion="reduce")


def rows(page: Page) -> int:
    return int(page.evaluate("window.__spheres[0].ids.length"))


def wait_rows(page: Page, more_than: int) -> None:
    page.wait_for_function("n => window.__spheres[0].ids.length > n", arg=more_than,
                           timeout=WAIT_MS)


def pick(page: Page, label: str, option: str) -> None:
    """Choose from a select box, wherever it stands."""
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def wait_address(page: Page, part: str) -> None:
    expect(page).to_have_url(re.compile(re.escape(part)), timeout=WAIT_MS)


def popover(page: Page, key: str) -> Locator:
    """Open one of the two menus."""
    page.locator(f".st-key-{key} button:visible").first.click()
    body = page.locator("[data-testid=stPopoverBody]")
    expect(body).to_be_visible(timeout=WAIT_MS)
    return body


def test_depth_colour_filter_settings_files_and_the_link(
        app: AppProcess, lend: Callable[..., Page]) -> None:
    page = opened(lend)
    open_scene(page, app.url, f"/space_balls?path={PLACE}")
    wait_path(page, PLACE)
    children = rows(page)

    pick(page, "Levels shown", "All levels")
    wait_address(page, "depth=0")
    wait_rows(page, 5 * children)
    pick(page, "Colour by", "State of charge")
    wait_address(page, "colour=soc_pct")

    box = page.get_by_role("textbox", name="Filter")
    box.fill("soc >")
    box.press("Enter")
    mark = page.locator(".o-caret")
    expect(mark).to_contain_text("ends too early", timeout=WAIT_MS)
    assert mark.locator("pre").inner_text().split("\n")[1] == "     ^"
    box.fill("level = cell")
    box.press("Enter")
    expect(page.get_by_text("matches by its own values")).to_be_visible(timeout=WAIT_MS)
    expect(mark).to_have_count(0)

    _settings(page)
    _files(page)
    _together(page)

    everything = page.url
    page.reload()
    wait_path(page, PLACE)
    settle(page)
    expect(page).to_have_url(everything)
    wait_rows(page, 5 * children)
    expect(page.get_by_text("matches by its own values")).to_be_visible(timeout=WAIT_MS)


def _settings(page: Page) -> None:
    body = popover(page, "space_looks")
    expect(body).to_contain_text("Seconds between updates", timeout=WAIT_MS)
    pick(page, "Palette", "Greyscale")
    wait_address(page, "palette=grey")
    pick(page, "Temperature", "°F")
    wait_address(page, "temperature=F")
    body.get_by_text("Fixed range of colours").click()
    wait_address(page, "scale=0..100")
    expect(body.get_by_role("button", name="Keep as my default")).to_be_disabled()
    expect(body).to_contain_text("bookmark this page")
    page.keyboard.press("Escape")
    expect(body).to_be_hidden(timeout=WAIT_MS)


def _files(page: Page) -> None:
    body = popover(page, "space_files")
    with page.expect_download(timeout=WAIT_MS) as waiting:
        body.get_by_role("button", name="CSV").click()
    download = waiting.value
    assert re.fullmatch(rf"{PLACE}_\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.csv",
                        download.suggested_filename)
    lines = list(csv.DictReader(Path(download.path()).read_text().splitlines()))
    assert lines
    assert {line["level"] for line in lines} == {"cell"}
    assert all(line["id"].startswith(PLACE) for line in lines)
    assert 50 < float(lines[0]["temperature_f"]) < 140
    with page.expect_download(timeout=WAIT_MS) as waiting:
        body.get_by_role("button", name="Parquet").click()
    assert Path(waiting.value.path()).read_bytes()[:4] == b"PAR1"
    told = parse_qs(urlsplit(body.locator("code").inner_text()).query)
    assert told["path"] == [PLACE]
    assert told["filter"] == ["level = cell"]
    assert told["palette"] == ["grey"]
    assert told["show"] == ["scene"], "a link says what is the factory's too"
    page.keyboard.press("Escape")
    expect(body).to_be_hidden(timeout=WAIT_MS)


def _together(page: Page) -> None:
    panel = page.locator(".st-key-panel_together")
    for label in ("Sum of power", "Capacity", "State of health", "Can be drawn", "Can be charged",
                  "history"):
        expect(panel).to_contain_text(label, timeout=WAIT_MS)
    expect(panel).to_contain_text("°F")
    expect(panel).to_contain_text("weighted by capacity")


def test_on_a_phone_the_tools_wrap_and_nothing_is_wider(
        app: AppProcess, lend: Callable[..., Page]) -> None:
    page = opened(lend, 390)
    open_scene(page, app.url, f"/space_balls?path={PLACE}&filter=soc+%3E+0&depth=2")
    wait_path(page, PLACE)
    for key in ("up", "space_show", "space_depth", "space_colour", "space_filter_box",
                "space_looks"):
        box = page.locator(f"[class*=st-key-{key}]").first.bounding_box()
        assert box is not None, key
        assert box["x"] >= 0, key
        assert box["x"] + box["width"] <= 391, key
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
