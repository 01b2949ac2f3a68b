"""The blocks in Chromium: styles arrive, rows can be pressed, the map stays on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from components.tokens import DARK, LIGHT, rgb
from scripts.app_process import AppProcess

SCRIPT = str(Path(__file__).with_name("gallery_app.py"))
DRAWN_MS = 30_000
# A picture that a canvas has drawn can be read at any time.
KEEPS_ITS_PICTURE = """(() => {
  const open = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, options) {
    return open.call(this, kind, { ...options, preserveDrawingBuffer: true });
  };
})()"""
HAS_COLOURS = """wanted => {
  const canvas = document.querySelector("[data-testid=stDeckGlJsonChart] canvas");
  if (!canvas?.width) return false;
  const paper = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  paper.drawImage(canvas, 0, 0);
  const { data } = paper.getImageData(0, 0, canvas.width, canvas.height);
  const left = new Set(wanted.map(String));
  for (let at = 0; left.size && at < data.length; at += 4) left.delete(`${data.slice(at, at + 3)}`);
  return left.size === 0;
}"""


@pytest.fixture(scope="module")
def gallery(app_server: Callable[..., AppProcess]) -> Iterator[str]:
    app = app_server(SCRIPT)
    yield app.url
    app.stop()


def opened(browser: Browser, url: str, scheme: str, width: int = 1440) -> tuple[Page, list[str]]:
    """The gallery, and every address that it asked for."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.add_init_script(KEEPS_ITS_PICTURE)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    return page, asked


def has_the_colours(page: Page, colour: dict[str, str]) -> None:
    name = page.locator(".o-site .nm").first
    name.wait_for(timeout=DRAWN_MS)
    assert name.inner_text() == "<b>System 0</b>"
    assert name.evaluate("e => getComputedStyle(e).color") == (
        "rgb({}, {}, {})".format(*rgb(colour["text"])))


def test_the_map_asks_nobody_a_row_can_be_pressed_and_the_theme_is_dark(
        browser: Browser, gallery: str, console: Callable[[Page], list[str]]) -> None:
    page, asked = opened(browser, gallery, "dark")
    console(page)
    canvas = page.locator("[data-testid=stDeckGlJsonChart] canvas")
    expect(canvas).to_be_visible(timeout=DRAWN_MS)
    wanted = [rgb(DARK[name]) for name in ("discharge", "charge", "alarm")]
    page.wait_for_function(HAS_COLOURS, arg=wanted, polling=200, timeout=DRAWN_MS)
    assert all(address.startswith((gallery, "data:", "blob:")) for address in asked), asked
    has_the_colours(page, DARK)
    row = page.locator(".o-site", has_text="System 1")
    box = row.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_text("Pressed: system_1")).to_be_visible()
    page.get_by_role("button", name="Open <b>System 0</b>").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Pressed: system_0")).to_be_visible()
    page.context.close()


def test_the_style_follows_the_theme(browser: Browser, gallery: str) -> None:
    page, _ = opened(browser, gallery, "light")
    has_the_colours(page, LIGHT)
    page.context.close()


def test_nothing_is_wider_than_a_phone(browser: Browser, gallery: str) -> None:
    page, _ = opened(browser, gallery, "dark", width=390)
    page.locator(".o-site .nm").first.wait_for(timeout=DRAWN_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".o-row.hd").first.is_hidden()
    page.context.close()
