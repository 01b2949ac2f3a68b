"""The first request of a fresh server: sign-in, a broken configuration, a taken history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from scripts.app_process import AppProcess
from tests.browser.driver import WAIT_MS

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
def closed_site(tmp_path: Path) -> Path:
    config = tmp_path / "orrery.toml"
    config.write_text(SMALL + '[sign_in]\nmode = "oidc"\n')
    return config


@pytest.mark.parametrize("address", ["/space_balls?path=system_0", "/overview", "/"])
def test_no_address_leads_past_the_sign_in(app_server: Start, browser: Browser, tmp_path: Path,
                                           closed_site: Path, address: str) -> None:
    secrets = tmp_path / "secrets.toml"
    secrets.write_text(AUTH)
    app = app_server(config=closed_site, environment={"STREAMLIT_SECRETS_FILES": str(secrets)})
    page = browser.new_page()
    page.goto(app.url + address)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)
    assert page.locator(".st-key-scene, .st-key-rows_systems").count() == 0
    page.close()
    app.stop()


@pytest.mark.parametrize("named", [False, True], ids=["no file", "a file that is not there"])
def test_a_sign_in_without_a_provider_says_what_is_missing(
        app_server: Start, browser: Browser, closed_site: Path, named: bool) -> None:
    """deploy/ names a file of secrets, which is there where there is a provider."""
    variables = {"STREAMLIT_SECRETS_FILES": str(closed_site.with_name("secrets.toml"))}
    app = app_server(config=closed_site, environment=variables if named else None)
    page = browser.new_page()
    page.goto(app.url)
    expect(page.get_by_text("Sign-in is not set up")).to_be_visible(timeout=WAIT_MS)
    page.close()
    app.stop()


def test_a_broken_configuration_is_shown_with_key_and_value(
        app_server: Start, browser: Browser, tmp_path: Path) -> None:
    config = tmp_path / "orrery.toml"
    config.write_text(SMALL.replace("systems = 1", "systems = 0"))
    app = app_server(config=config)
    page = browser.new_page()
    page.goto(app.url + "/space_balls")
    expect(page.get_by_text("sources[0].options.systems = 0")).to_be_visible(timeout=WAIT_MS)
    page.close()
    app.stop()


def test_the_second_process_on_a_history_says_who_holds_it_and_lives_on(
        app_server: Start, browser: Browser, tmp_path: Path) -> None:
    config = tmp_path / "orrery.toml"
    config.write_text(SMALL.replace('kind = "none"', "backfill_hours = 0"))
    first = app_server(history=tmp_path / "h", config=config)
    page = browser.new_page(reduced_motion="reduce")
    page.goto(first.url)
    expect(page.locator("h1.o-h")).to_contain_text("1 system", timeout=WAIT_MS)
    second = app_server(history=tmp_path / "h", config=config)
    page.goto(second.url)
    expect(page.locator("h1.o-h")).to_contain_text("1 system", timeout=WAIT_MS)
    sidebar = page.get_by_test_id("stSidebarUserContent")
    expect(sidebar).to_contain_text("History is off", timeout=WAIT_MS)
    expect(sidebar).to_contain_text(f"{first.pid}")
    page.close()
    second.stop()
    first.stop()
