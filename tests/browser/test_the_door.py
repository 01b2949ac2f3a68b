"""The first request of a fresh server: sign-in, a broken configuration, a taken history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from scripts.app_process import AppProcess
from tests.browser.driver import WAIT_MS
from tests.browser.patience import expect

AUTH = """
[auth]
redirect_uri = "http://127.0.0.1/oauth2/callback"
cookie_secret = "only for this test"
client_id = "orrery"
client_secret = "only for this test"
server_metadata_url = "http://127.0.0.1:9/none"
"""
SMALL = """
[[sources]]
kind = "fleet"
name = "fleet"
[sources.options]
systems = 1
[twin]
enabled = false
[history]
kind = "none"
"""
Start = Callable[..., AppProcess]


@pytest.fixture
def serve(app_server: Start) -> Iterator[Start]:
    """Apps that end with the test, after its page."""
    started: list[AppProcess] = []

    def start(**options: Any) -> AppProcess:
        started.append(app_server(**options))
        return started[-1]

    yield start
    for app in started:
        app.stop()


@pytest.fixture
def page(serve: Start, lend: Callable[..., Page]) -> Page:
    return lend(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")


@pytest.fixture
def closed_site(tmp_path: Path) -> Path:
    config = tmp_path / "orrery.toml"
    config.write_text(SMALL + '[sign_in]\nmode = "oidc"\n')
    return config


@pytest.mark.parametrize("addresses", [("/space_balls?path=system_0",), ("/overview", "/")])
def test_no_address_leads_past_the_sign_in(serve: Start, page: Page, tmp_path: Path,
                                           closed_site: Path, addresses: tuple[str, ...]) -> None:
    """The first of them is the first request of a fresh server."""
    secrets = tmp_path / "secrets.toml"
    secrets.write_text(AUTH)
    app = serve(config=closed_site, environment={"STREAMLIT_SECRETS_FILES": str(secrets)})
    for address in addresses:
        page.goto(app.url + address)
        expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)
        assert page.locator(".st-key-scene, .st-key-rows_systems").count() == 0


@pytest.mark.parametrize("named", [False, True], ids=["no file", "a file that is not there"])
def test_a_sign_in_without_a_provider_says_what_is_missing(
        serve: Start, page: Page, closed_site: Path, named: bool) -> None:
    """deploy/ names a file of secrets, which is there where there is a provider."""
    variables = {"STREAMLIT_SECRETS_FILES": str(closed_site.with_name("secrets.toml"))}
    app = serve(config=closed_site, environment=variables if named else None)
    page.goto(app.url)
    expect(page.get_by_text("Sign-in is not set up")).to_be_visible(timeout=WAIT_MS)


def test_a_broken_configuration_is_shown_with_key_and_value(
        serve: Start, page: Page, tmp_path: Path) -> None:
    config = tmp_path / "orrery.toml"
    config.write_text(SMALL.replace("systems = 1", "systems = 0"))
    app = serve(config=config)
    page.goto(app.url + "/space_balls")
    expect(page.get_by_text("sources[0].options.systems = 0")).to_be_visible(timeout=WAIT_MS)


def test_the_second_process_on_a_history_says_who_holds_it_and_lives_on(
        serve: Start, page: Page, tmp_path: Path) -> None:
    config = tmp_path / "orrery.toml"
    config.write_text(SMALL.replace('kind = "none"', "backfill_hours = 0"))
    first = serve(history=tmp_path / "h", config=config)
    page.goto(first.url)
    expect(page.locator("h1.o-h")).to_contain_text("1 system", timeout=WAIT_MS)
    second = serve(history=tmp_path / "h", config=config)
    page.goto(second.url)
    expect(page.locator("h1.o-h")).to_contain_text("1 system", timeout=WAIT_MS)
    sidebar = page.get_by_test_id("stSidebarUserContent")
    expect(sidebar).to_contain_text("History is off", timeout=WAIT_MS)
    expect(sidebar).to_contain_text(f"{first.pid}")
