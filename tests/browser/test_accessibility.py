"""Every page by axe-core, dark and light, and on a phone: nothing serious, nothing cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from scripts.app_process import AppProcess
from scripts.pictures import page_names, wait_until_settled
from tests.browser.barriers import SCRIPT, violations
from tests.browser.driver import WAIT_MS
from tests.browser.patience import expect

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1440, "height": 900}
WATCH = """new MutationObserver(() => {
  if (document.body?.textContent.includes("Orrery is starting")) window.__starting = true;
}).observe(document, {subtree: true, childList: true});"""
GROUND = "() => getComputedStyle(document.querySelector('.stApp')).backgroundColor"
# What stands out of the window at the right and cannot be scrolled to.
CUT = """() => {
  const MAIN = "[data-testid=stMain]";
  const DRAWN = "[role=application], .js-plotly-plot, [data-testid=stDeckGlJsonChart]";
  const wide = innerWidth + 1, found = [];
  const held = (node) => {
    for (let at = node.parentElement; at && at !== document.body; at = at.parentElement) {
      const style = getComputedStyle(at), box = at.getBoundingClientRect();
      const scrolls = ["auto", "scroll"].includes(style.overflowX) && !at.matches(MAIN);
      if (box.right <= wide && (scrolls || style.textOverflow === "ellipsis" || at.matches(DRAWN)))
        return true;
    }
    return false;
  };
  for (const node of document.querySelectorAll("[data-testid=stMain] *")) {
    const box = node.getBoundingClientRect();
    if (box.width > 1 && box.height > 1 && box.right > wide && !held(node))
      found.push(`${node.tagName}.${node.className} to ${Math.round(box.right)}`);
  }
  return found.slice(0, 8);
}"""


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        told_past: Callable[[], Path]) -> Iterator[AppProcess]:
    """The whole demo, for every page has something to show in it."""
    started = app_server(history=told_past())
    yield started
    started.stop()


def test_words_stand_there_while_orrery_starts(app: AppProcess, browser: Browser) -> None:
    """The first visit of this server: nobody has started its engine yet."""
    page = browser.new_page(viewport=DESKTOP)
    page.add_init_script(WATCH)
    page.goto(app.url)
    expect(page.locator("h1.o-h")).to_be_visible(timeout=WAIT_MS)
    assert page.evaluate("window.__starting") is True
    expect(page.get_by_text("Orrery is starting")).to_have_count(0)
    page.close()


ADDRESSES = [*page_names(), "space_balls?show=map", "space_balls?show=table",
             "coordinator?room=Objectives"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_has_no_serious_barrier_and_fits_a_phone(
        app: AppProcess, lend: Callable[..., Page], address: str) -> None:
    page = lend(viewport=DESKTOP, color_scheme="dark", reduced_motion="reduce")
    page.goto(f"{app.url}/{address}")
    assert wait_until_settled(page), "the page does not come to rest"
    page.add_script_tag(path=SCRIPT)
    page.add_style_tag(content="*{transition:none!important}")
    dark = page.evaluate(GROUND)
    found = [f"dark: {one}" for one in violations(page)]
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"dark => ({GROUND})() !== dark", arg=dark, timeout=WAIT_MS)
    found += [f"light: {one}" for one in violations(page)]
    assert not found, "\n".join(found)
    page.set_viewport_size(PHONE)
    assert wait_until_settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate(CUT) == []


def test_what_is_wrong_is_found(browser: Browser) -> None:
    page = browser.new_page(viewport=PHONE)
    page.set_content("<main data-testid=stMain><button></button><p style='color:#bbb'>pale</p>"
                     "<div style='width:500px'>too wide</div></main>")
    page.add_script_tag(path=SCRIPT)
    found = "\n".join(violations(page))
    assert "button-name (critical)" in found
    assert "color-contrast (serious)" in found
    assert any(one.startswith("DIV") for one in page.evaluate(CUT))
    page.close()
