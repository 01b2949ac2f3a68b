"""What a person does on the Space Balls page, in words for tests."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.patience import WAIT_MS, expect

POLL_MS = 100
"""A look at every frame would make the page draw frames."""
ONE_CELL_AWAY = [("system_0", "double click"), ("system_0_cluster_0", "right click"),
                 ("system_0_cluster_0_rack_0", "long press"),
                 ("system_0_cluster_0_rack_0_module_0", "enter")]


def open_scene(page: Page, url: str, address: str = "/space_balls") -> None:
    """Open a page with a scene and wait until its spheres are drawn."""
    page.goto(url + address)
    wait_drawn(page)


def wait_drawn(page: Page) -> None:
    page.wait_for_function("window.__spheres?.[0]?.ready && window.__spheres[0].pixelStats() > 500",
                           polling=POLL_MS, timeout=WAIT_MS)


def wait_path(page: Page, last: str | None) -> None:
    """Wait until the scene stands at the element `last` (None: at the top) and is still."""
    page.wait_for_function(
        "last => { const s = window.__spheres?.[0]; if (!s || !s.ready) return false;"
        "  const path = s.path; return (path.length ? path[path.length - 1] : null) === last"
        "    && s.ids.length > 0; }", arg=last, polling=POLL_MS, timeout=WAIT_MS)
    settle(page)


def settle(page: Page) -> None:
    """Wait until the camera no longer moves."""
    page.wait_for_function(
        "() => { const s = window.__spheres?.[0]; if (!s?.ready) return false;"
        "  const now = JSON.stringify([s.cameraState(), s.ids.map(i => s.screenOf(i))]);"
        "  const same = window.__lastCamera === now; window.__lastCamera = now; return same; }",
        polling=250, timeout=WAIT_MS)


def sphere_at(page: Page, node_id: str) -> tuple[float, float]:
    """Client coordinates of the middle of a sphere."""
    spot = page.evaluate("id => window.__spheres[0].screenOf(id)", node_id)
    assert spot is not None, f"{node_id} is not drawn"
    return float(spot["x"]), float(spot["y"])


def select(page: Page, node_id: str) -> None:
    page.mouse.click(*sphere_at(page, node_id))
    page.wait_for_function("id => window.__spheres[0].selected === id", arg=node_id,
                           polling=POLL_MS, timeout=WAIT_MS)


def drill(page: Page, node_id: str, gesture: str) -> None:
    """Go into a sphere by one of the four gestures and wait for its children."""
    x, y = sphere_at(page, node_id)
    if gesture == "right click":
        page.mouse.click(x, y, button="right")
    elif gesture == "double click":
        page.mouse.dblclick(x, y)
    elif gesture == "long press":
        long_press(page, x, y)
    else:
        select(page, node_id)
        page.locator("[role=application]").focus()
        page.keyboard.press("Enter")
    wait_path(page, node_id)


def long_press(page: Page, x: float, y: float) -> None:
    """A finger that stays: the pointer goes up only when the viewer has reacted."""
    before = page.evaluate("window.__spheres[0].path.length")
    page.evaluate(
        "([x, y]) => { const at = document.elementFromPoint(x, y);"
        "  const init = {bubbles: true, composed: true, pointerId: 7, pointerType: 'touch',"
        "    isPrimary: true, clientX: x, clientY: y, button: 0, buttons: 1};"
        "  const target = (at.shadowRoot?.elementFromPoint(x, y)) ?? at;"
        "  target.dispatchEvent(new PointerEvent('pointerdown', init)); }", [x, y])
    page.wait_for_function("n => window.__spheres?.[0]?.path.length > n", arg=before,
                           timeout=WAIT_MS)
    page.evaluate("window.dispatchEvent(new PointerEvent('pointerup', {bubbles: true,"
                  " pointerId: 7, pointerType: 'touch'}))")


def crumbs(page: Page) -> list[str]:
    """Texts of the breadcrumb from the top."""
    return page.locator(".st-key-crumbs button").all_inner_texts()


def expect_crumbs(page: Page, texts: list[str]) -> None:
    expect(page.locator(".st-key-crumbs button")).to_have_text(texts, timeout=WAIT_MS)
