"""Pages behind the shipped nginx and HAProxy: TLS, the shipped policy, two apps and one sign-in."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from scripts.app_process import AppProcess, free_port
from scripts.chromium import FLAGS
from tests.browser.driver import POLL_MS, WAIT_MS
from tests.browser.patience import expect
from tests.browser.provider import BACK, running_provider
from tests.browser.test_fleet import order, panel, row
from tests.browser.test_sign_in import ADA, SITE, sign_in
from tests.deploy.fronts import DEPLOY, NAME, Front, Haproxy, Nginx, home_with
from tests.gateway.site import SMALL_SITE

Start = Callable[..., AppProcess]
RESOLVER = "--host-resolver-rules="
KEPT = "ORRERY_APP"
"""HAProxy's cookie: which app a browser stays with."""


@pytest.fixture(scope="module")
def outside(browser: Browser, chromium: str) -> Iterator[Browser]:
    """A browser for which the shipped name is this machine."""
    flags = [f"{RESOLVER}MAP {NAME} 127.0.0.1 , {flag.removeprefix(RESOLVER)}"
             if flag.startswith(RESOLVER) else flag for flag in FLAGS]
    started = browser.browser_type.launch(executable_path=chromium, args=flags)
    yield started
    started.close()


@pytest.fixture
def page(outside: Browser, console: Callable[[Page], list[str]]) -> Iterator[Page]:
    """The certificate is the shipped script's own; that it is checked is tests/deploy's part."""
    context = outside.new_context(ignore_https_errors=True, reduced_motion="reduce",
                                  viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    console(opened)
    yield opened
    context.close()


def address(front: Front) -> str:
    return f"https://{NAME}:{front.encrypted}"


def started(app_server: Start, folder: Path, site: str, **variables: str) -> AppProcess:
    """The app as it is deployed: server.py with the shipped settings of Streamlit."""
    (folder / "orrery.toml").write_text(f'{site}\n[gateway]\nallowed_hosts = ["{NAME}"]\n')
    told = {**home_with(folder / "home", DEPLOY / "config" / "streamlit.toml"), **variables}
    told.pop("PYTHONPATH", None)
    return app_server("server.py", config=folder / "orrery.toml", environment=told)


def test_the_viewer_draws_and_lives_behind_nginx_under_the_shipped_policy(
        app_server: Start, tmp_path: Path, page: Page) -> None:
    app = started(app_server, tmp_path, SMALL_SITE.partition("[gateway]")[0])
    answers = []
    page.on("response", lambda answer: answers.append(answer))
    front = Nginx(tmp_path, app.port, app.port)
    with front.running():
        page.goto(address(front))
        page.get_by_role("link", name="Space Balls").click(timeout=WAIT_MS)
        wait(page, "window.__spheres?.[0]?.ready && window.__spheres[0].pixelStats() > 500")
        [first] = [one for one in answers if one.request.is_navigation_request()]
        shipped = (DEPLOY / "nginx" / "orrery.conf").read_text()
        assert first.headers["content-security-policy"] in shipped
        assert first.security_details()["protocol"].startswith("TLS")
        assert page.evaluate("isSecureContext")
        two_refreshes(page)
        page.goto("about:blank")
    app.stop()


def two_refreshes(page: Page) -> None:
    """The scene takes what is new, and again; how long that took differs."""
    page.evaluate("window.__seen = new Set()")
    wait(page, "window.__seen.add(window.__spheres[0].updateMs).size >= 3")


def wait(page: Page, condition: str) -> None:
    """As `page.wait_for_function`, which the policy forbids: it makes code of words in the page."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(POLL_MS)


def test_a_sign_in_holds_at_both_apps_behind_haproxy(
        app_server: Start, tmp_path: Path, page: Page) -> None:
    port, cookie_secret = free_port(), secrets.token_urlsafe(32)
    with running_provider() as provider:
        told = provider.write_secrets(tmp_path / "secrets.toml", f"https://{NAME}:{port}{BACK}",
                                      cookie_secret)
        apps = []
        for name in ("app-0", "app-1"):
            (tmp_path / name).mkdir()
            apps.append(started(app_server, tmp_path / name, SITE,
                                STREAMLIT_SECRETS_FILES=str(told),
                                STREAMLIT_SERVER_COOKIE_SECRET=cookie_secret))
        front = Haproxy(tmp_path, apps[0].port, apps[0].port, second=apps[1].port, encrypted=port)
        with front.running():
            page.goto(address(front))
            sign_in(page, ADA)
            expect(page.locator("h1").first).to_contain_text("1 system", timeout=WAIT_MS)
            other = {"app-0": "app-1", "app-1": "app-0"}[app_of(page)]
            page.context.add_cookies([{"name": KEPT, "value": other, "url": address(front)}])
            page.goto(address(front))
            page.get_by_role("link", name="Fleet").click(timeout=WAIT_MS)
            row(page, "Pack 001").click(timeout=WAIT_MS)
            expect(panel(page)).to_contain_text("Cell voltages", timeout=WAIT_MS)
            assert app_of(page) == other
            expect(order(page, "Emergency stop")).to_be_enabled(timeout=WAIT_MS)
            page.goto(address(front) + "/viewer/?ws=/ws")  # by the pages' own sign-in
            expect(page.locator("#status")).to_have_text("Connected", timeout=WAIT_MS)
            page.goto("about:blank")
    for app in apps:
        app.stop()


def app_of(page: Page) -> str:
    """Which of the two HAProxy keeps this browser with."""
    [found] = [one["value"] for one in page.context.cookies() if one["name"] == KEPT]
    return found
