"""The viewer without Streamlit: the gateway's own page speaks the document's protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from scripts.app_process import free_port
from services.gateway.viewer_door import WRONG
from tests.browser.driver import WAIT_MS, drill, select, sphere_at, wait_drawn, wait_path
from tests.browser.patience import expect
from tests.gateway.fleet_api_site import VIEWER
from tests.gateway.test_command import SMALL, running

WIDE, PHONE = {"width": 1280, "height": 820}, {"width": 390, "height": 844}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "orrery.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture(params=[(WIDE, "no-preference"), (PHONE, "reduce")], ids=["desktop", "phone"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A moving scene keeps half a core busy: one of them is enough."""
    viewport, motion = request.param
    context = browser.new_context(viewport=viewport, reduced_motion=motion,
                                  bypass_csp=True)  # for our own probes
    yield context.new_page()
    context.close()


def status(page: Page, word: str) -> None:
    expect(page.locator("#status")).to_have_text(word, timeout=WAIT_MS)


def test_from_the_top_to_a_cell_and_back(page: Page, config: Path,
                                         console: Callable[[Page], list[str]]) -> None:
    console(page)
    port = free_port()
    with running("--config", str(config), "--port", str(port)):
        page.goto(f"http://127.0.0.1:{port}/")
        wait_drawn(page)
        status(page, "Connected")
        expect(page.locator("#back")).to_be_hidden()
        expect(page.locator("#info")).to_contain_text("Grid POC")
        select(page, "system_0")
        expect(page.locator("#details")).to_contain_text("system_0")
        for node_id in ("system_0", "system_0_cluster_0", "system_0_cluster_0_rack_0",
                        "system_0_cluster_0_rack_0_module_0"):
            drill(page, node_id, "right click")
        expect(page.locator("#path button")).to_have_count(5)
        page.mouse.click(*sphere_at(page, f"{node_id}_cell_1"), button="right")
        page.locator("#back").click()
        wait_path(page, "system_0_cluster_0_rack_0")
        page.locator("#path button").first.click()
        wait_path(page, None)


def test_who_gave_the_key_looks_and_after_a_restart_is_where_they_were(
        browser: Browser, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_VIEWERS", VIEWER)
    config.write_text(SMALL + 'api_key_secret = "KEY_OF_VIEWERS"\n')
    page = browser.new_page(viewport=WIDE, bypass_csp=True, reduced_motion="reduce")
    port = free_port()
    arguments = ("--config", str(config), "--port", str(port))
    with running(*arguments):
        page.goto(f"http://127.0.0.1:{port}/")
        for key in ("another key 123456", VIEWER):
            page.get_by_label("Key").fill(key, timeout=WAIT_MS)
            page.get_by_role("button", name="Open the viewer").click(timeout=WAIT_MS)
            if key != VIEWER:
                expect(page.get_by_role("alert")).to_have_text(WRONG, timeout=WAIT_MS)
        wait_drawn(page)
        drill(page, "system_1", "double click")
    status(page, "Disconnected")
    with running(*arguments):
        status(page, "Connected")
        expect(page.locator("#info")).to_contain_text("clusters", timeout=WAIT_MS)
        wait_path(page, "system_1")
        page.close()
