"""The viewer's bundle on an empty page, without Streamlit: a page that is loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orrery_spheres import assets_dir
from playwright.sync_api import BrowserContext, Page, Route

ORIGIN = "http://viewer.test"
SIZE = {"width": 1000, "height": 600}
PAGE = ("<!doctype html><html><head><title>Scene</title>"
        "<meta name='viewport' content='width=device-width'></head>"
        "<body style='margin:0'><div id='host'></div><p style='height:900px'>below</p></body>"
        "</html>")
HELPERS = """
async () => {
  const { Viewer, readExtremes, readItems, readTrails, register } = await import('/index.js');
  const host = document.getElementById('host');
  const table = (columns, count) => ({ numRows: count, getChild: (name) =>
    name in columns ? { toArray: () => columns[name] } : null });
  const read = (spec) => readItems(table(spec, spec.id.length));
  window.open_ = (size) => {
    window.viewer?.dispose();
    window.__spheres?.splice(0);
    host.style.cssText = `width:${size.width}px;height:${size.height}px`;
    window.heard = [];
    const hear = (name) => (value) => window.heard.push([name, value ?? null]);
    const events = ['selected', 'drill', 'up', 'failed', 'acknowledge', 'playback'];
    window.viewer = new Viewer(host, Object.fromEntries(events.map((name) => [name, hear(name)])),
      { source: new URL('/index.js', location.href).href });
    register(window.viewer);
  };
  window.show = (spec, meta, trails, extremes) => window.viewer.update(read(spec), meta,
    trails ? readTrails(table(trails, trails.row.length)) : null,
    extremes ? readExtremes(table(extremes, extremes.row.length)) : null);
  // Every pixel of a point and around it, as it is drawn now.
  window.pixel = (x, y) => {
    window.viewer.drawNow();
    const canvas = host.querySelector('canvas.scene');
    const paper = new OffscreenCanvas(1, 1);
    const pen = paper.getContext('2d');
    const scale = canvas.width / canvas.clientWidth;
    pen.drawImage(canvas, x * scale, y * scale, 1, 1, 0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  window.rects = (selector) => [...host.querySelectorAll(selector)].map((e) => {
    const b = e.getBoundingClientRect();
    return { x: b.left, y: b.top, w: b.width, h: b.height };
  }).filter((r) => r.w > 0);
}
"""
META: dict[str, Any] = {
    "path": [], "parent": {"id": "top", "name": "Grid POC", "power_kw": 1.0, "depth": 0},
    "level": "racks", "no_drill_reason": "Cells are the last level", "selected": None,
    "select_seq": 0, "palette": "safe", "theme": "dark", "label_cap": 64, "show_labels": True,
    "sign": "discharge", "reduced_motion": True,
}


def serve(route: Route) -> None:
    name = Path(route.request.url.removeprefix(ORIGIN)).name
    if name in ("", "favicon.ico"):
        route.fulfill(body=PAGE, content_type="text/html")
    else:
        route.fulfill(path=assets_dir() / name, content_type="text/javascript")


def columns(parents: list[int], **given: Any) -> dict[str, Any]:
    """Columns of items with these parents; `given` replaces or adds columns."""
    count = len(parents)
    tier: list[int] = []
    for parent in parents:
        tier.append(1 if parent < 0 else tier[parent] + 1)
    return {
        "id": [f"item_{i}" for i in range(count)], "name": [f"Part {i}" for i in range(count)],
        "capacity_kwh": [40.0] * count, "power_kw": [5.0 - i % 11 for i in range(count)],
        "soc_pct": [float(i % 100) for i in range(count)],
        "state": [2 if 5 - i % 11 > 0 else 1 for i in range(count)], "alarm": [0] * count,
        "alarm_count": [0] * count, "age_s": [1.0] * count, "stale": [0] * count,
        "can_drill": [1] * count, "parent_row": parents, "tier": tier, **given,
    }


def tree(*fans: int) -> list[int]:
    """Parents of a tree with so many children at each level: tree(2, 3) has 2 + 6 items."""
    parents = [-1] * fans[0]
    above = range(fans[0])
    for fan in fans[1:]:
        first = len(parents)
        parents += [row for row in above for _ in range(fan)]
        above = range(first, len(parents))
    return parents


class Lone:
    """The viewer that the page shows."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.route(f"{ORIGIN}/**", serve)
        self.page.goto(f"{ORIGIN}/")
        self.page.evaluate(HELPERS)

    def open(self, size: dict[str, int] | None = None) -> None:
        """A new viewer without data."""
        self.page.evaluate("size => window.open_(size)", size or SIZE)

    def show(self, items: dict[str, Any], trails: dict[str, Any] | None = None,
             extremes: dict[str, Any] | None = None, **meta: Any) -> None:
        self.page.evaluate("told => window.show(...told)",
                           [items, {**META, **meta}, trails, extremes])

    def get(self, expression: str) -> Any:
        """An expression over the viewer `v`, its hook `h` and its layout `l`."""
        return self.page.evaluate(
            f"() => {{ const v = window.viewer, h = window.__spheres[0], l = v.scene?.layout;"
            f" return {expression}; }}")

    def until(self, expression: str) -> None:
        self.page.wait_for_function(
            f"() => {{ const v = window.viewer, h = window.__spheres[0], l = v.scene?.layout;"
            f" return Boolean({expression}); }}")

    def rests(self) -> None:
        self.until("h.ready && h.resting")

    def text(self, selector: str) -> str:
        return self.page.locator(f"#host {selector}").inner_text()

    def heard(self) -> list[list[Any]]:
        found: list[list[Any]] = self.page.evaluate("window.heard")
        return found
