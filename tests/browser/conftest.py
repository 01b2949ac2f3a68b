"""The app that most of these files look at; those with a site of their own have their own `app`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from playwright.sync_api import Browser, Page

from core.config import DEMO_CONFIG
from scripts.app_process import AppProcess
from tests.browser.pages import Pages
from tests.conftest import browser_of

BATTERIES = ("fleet", "packs", "recorded")


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], told_past: Callable[[], Path],
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """The demo's batteries, started for this file alone, over a past that is told."""
    site = tomlkit.parse(DEMO_CONFIG.read_text()).unwrap()
    site["sources"] = [one for one in site["sources"] if one["kind"] in BATTERIES]
    site["sources"][0]["options"].pop("places")  # no map on the Overview, drawn by a processor
    site["twin"] = site["coordinator"] = {"enabled": False}
    config = tmp_path_factory.mktemp("batteries") / "orrery.toml"
    config.write_text(tomlkit.dumps(site))
    started = app_server(history=told_past(), config=config)
    yield started
    started.stop()


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """One for all of these files; what a file has opened ends with it, but for lent pages."""
    with browser_of(chromium) as started:
        yield started


@pytest.fixture(scope="package")
def warm_pages(browser: Browser) -> Pages:
    return Pages(browser)


@pytest.fixture(scope="module")
def pages_of_file(warm_pages: Pages) -> Iterator[Pages]:
    yield warm_pages
    warm_pages.close_others()


@pytest.fixture
def lend(pages_of_file: Pages,
         console: Callable[[Page], list[str]]) -> Iterator[Callable[..., Page]]:
    """`lend(viewport=..., reduced_motion="reduce")`: a page as of a new context, until the test
    ends; its console is watched. Not for one that gets scripts or routes of its own."""
    def watched(**options: Any) -> Page:
        page = pages_of_file.lend(**options)
        console(page)
        return page

    yield watched
    pages_of_file.take_back()
