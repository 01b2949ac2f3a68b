"""Sign-in by a real OpenID Connect flow: who the provider vouches for, and what each may do."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from scripts.app_process import AppProcess
from tests.browser.driver import WAIT_MS
from tests.browser.patience import expect
from tests.browser.provider import BACK, Provider, running_provider
from tests.browser.test_fleet import ORDERS, order, panel, row
from tests.sources.mosquitto import until

ADA, BOB = "ada@site.example", "bob@site.example"
SITE = f"""
[[sources]]
kind = "packs"
name = "packs"
[sources.options]
packs = 2
cells = 12
past_hours = 0
[sign_in]
mode = "oidc"
[operators]
mode = "oidc"
emails = ["{ADA}"]
[twin]
enabled = false
"""
Start = Callable[..., AppProcess]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as started:
        yield started


@pytest.fixture
def app(provider: Provider, app_server: Start, tmp_path: Path) -> Iterator[AppProcess]:
    """Its own port is known only when it is there, as Streamlit's {port} in the address."""
    config = tmp_path / "orrery.toml"
    config.write_text(SITE)
    told = provider.write_secrets(tmp_path / "secrets.toml", "http://127.0.0.1:{port}" + BACK,
                                  secrets.token_urlsafe(32))
    started = app_server(config=config, environment={"STREAMLIT_SECRETS_FILES": str(told)})
    provider.redirect_uri = started.url + BACK
    yield started
    started.stop()


@pytest.fixture
def page(app: AppProcess, lend: Callable[..., Page]) -> Page:
    return lend(reduced_motion="reduce", viewport={"width": 1440, "height": 900})


def sign_in(page: Page, email: str) -> None:
    """From the door to the provider, as `email`, and back."""
    page.get_by_role("button", name="Sign in").click(timeout=WAIT_MS)
    page.get_by_label("E-mail").fill(email, timeout=WAIT_MS)
    page.get_by_role("button", name="Go on").click(timeout=WAIT_MS)


def sign_out(page: Page) -> None:
    page.get_by_test_id("stSidebarUserContent").get_by_role(
        "button", name=re.compile("@site.example")).click(timeout=WAIT_MS)
    page.get_by_role("button", name="Sign out").click(timeout=WAIT_MS)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)


def open_pack(page: Page, url: str) -> None:
    page.goto(url + "/fleet")
    row(page, "Pack 001").click(timeout=WAIT_MS)
    expect(panel(page)).to_contain_text("Cell voltages", timeout=WAIT_MS)


def test_an_operator_acts_another_one_looks_and_both_can_leave(
        app: AppProcess, page: Page, provider: Provider) -> None:
    page.goto(app.url)
    sign_in(page, ADA)
    expect(page.locator("h1").first).to_contain_text("1 system", timeout=WAIT_MS)
    open_pack(page, app.url)
    order(page, "Emergency stop").click(timeout=WAIT_MS)
    page.get_by_role("dialog").locator(".st-key-confirm_press button").click(timeout=WAIT_MS)
    stopped = panel(page).locator(".o-cmd", has_text="Emergency stop")
    expect(stopped).to_contain_text("executed", timeout=WAIT_MS)
    expect(stopped).to_contain_text(ADA, timeout=WAIT_MS)
    sign_out(page)
    until(lambda: provider.signed_out == 1, "the provider hears that somebody left")

    sign_in(page, BOB)
    expect(page.locator("h1").first).to_contain_text("1 system", timeout=WAIT_MS)
    open_pack(page, app.url)
    for name in ORDERS:
        expect(order(page, name)).to_be_disabled(timeout=WAIT_MS)
    expect(panel(page).get_by_text(f"{BOB} is not among the operators of this site.")
           ).to_be_visible(timeout=WAIT_MS)
    sign_out(page)
    until(lambda: provider.signed_out == 2, "the provider hears that somebody left")


def test_whoever_only_looks_tests_and_saves_no_source(app: AppProcess, page: Page) -> None:
    page.goto(app.url)
    sign_in(page, BOB)
    expect(page.locator("h1").first).to_contain_text("1 system", timeout=WAIT_MS)
    page.goto(app.url + "/connections")
    page.get_by_role("button", name="Connect a source").click(timeout=WAIT_MS)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Operators may change sources")).to_be_visible(timeout=WAIT_MS)
    expect(dialog.locator(".st-key-connect_says")).to_contain_text("is needed", timeout=WAIT_MS)
    address = dialog.get_by_role("textbox", name="Address of the GX")
    address.fill("127.0.0.1")
    address.press("Enter")
    device = dialog.get_by_role("spinbutton", name="Battery's device instance")
    device.fill("512")
    device.press("Enter")
    expect(dialog.locator(".st-key-connect_says")).to_contain_text("Test the connection first",
                                                                   timeout=WAIT_MS)
    for name in ("Test connection", "Save"):
        expect(dialog.get_by_role("button", name=name)).to_be_disabled(timeout=WAIT_MS)
    expect(dialog.get_by_text(f"{BOB} is not among the operators of this site.").first
           ).to_be_visible(timeout=WAIT_MS)


def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(
        app: AppProcess, page: Page, provider: Provider) -> None:
    provider.forging = True
    page.goto(app.url)
    sign_in(page, ADA)
    page.wait_for_url(app.url + "/**", timeout=WAIT_MS)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)
    assert "token exchange failed" in app.log()
    provider.forging = False
    sign_in(page, ADA)
    expect(page.locator("h1").first).to_contain_text("1 system", timeout=WAIT_MS)
