"""What the sphere viewer costs the browser: calls, triangles, bytes and milliseconds of script.

The times are of JavaScript alone; how fast the picture appears depends on the GPU.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orrery_spheres import assets_dir
from playwright.sync_api import Page, Route, sync_playwright

from bench.report import figure_line
from scripts.chromium import FLAGS, find_chromium

ORIGIN = "http://viewer.test"
SIZES = (20, 1000, 10_000, 100_000)
SHORT_SIZES = (20, 1000)
# A software GL draws ten thousand spheres at full size for seconds; script time does not change.
SMALL_FROM = 10_000
MEASURE = """
async ([count, width, height, rounds]) => {
  const { Viewer } = await import('/index.js');
  document.body.replaceChildren();
  const host = document.createElement('div');
  host.style.cssText = `width:${width}px;height:${height}px`;
  document.body.append(host);
  const column = (read) => Float32Array.from({ length: count }, (_, i) => read(i));
  const ids = Array.from({ length: count }, (_, i) => `item_${i}`);
  const items = (tick) => ({
    count, id: ids, name: ids,
    capacityKwh: column(() => 40), powerKw: column((i) => 20 * Math.sin(i + tick)),
    socPct: column((i) => (i * 7 + tick * 3) % 100),
    state: Uint8Array.from({ length: count }, (_, i) => (Math.sin(i + tick) > 0 ? 2 : 1)),
    alarm: new Uint8Array(count), alarmCount: new Uint16Array(count), ageS: column(() => 1),
    stale: new Uint8Array(count), canDrill: new Uint8Array(count),
  });
  const meta = {
    path: [], parent: { id: 'top', name: 'Top', power_kw: 0, depth: 0 }, level: 'racks',
    no_drill_reason: '', selected: null, select_seq: 0, palette: 'safe', theme: 'dark',
    label_cap: 64, show_labels: true, sign: 'discharge', reduced_motion: true, height,
  };
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  const quiet = () => undefined;
  const viewer = new Viewer(host, { selected: quiet, drill: quiet, up: quiet, failed: quiet });
  viewer.update(items(0), meta);
  viewer.drawNow();
  const [frames, updates, picks] = [[], [], []];
  let bytes = 0;
  for (let tick = 1; tick <= rounds; tick++) {
    const next = items(tick);
    viewer.update(next, meta);
    updates.push(viewer.updateMs);
    bytes = viewer.lastUpdateBytes;
    viewer.drawNow();
    frames.push(viewer.frameMs);
    const started = performance.now();
    viewer.pickClient(width * tick / (rounds + 1), height / 2);
    picks.push(performance.now() - started);
  }
  const inked = viewer.inked();
  const found = {
    inked, calls: viewer.drawCalls, triangles: viewer.triangles, bytes: bytes / count,
    frame: median(frames), update: median(updates), pick: median(picks),
  };
  viewer.dispose();
  return found;
}
"""


def _serve(route: Route) -> None:
    name = Path(route.request.url.removeprefix(ORIGIN)).name
    if name in ("", "favicon.ico"):
        route.fulfill(body="<!doctype html><body></body>", content_type="text/html")
    else:
        route.fulfill(path=assets_dir() / name, content_type="text/javascript")


def _measure(page: Page, count: int, rounds: int) -> dict[str, Any]:
    width, height = (256, 144) if count >= SMALL_FROM else (1280, 720)
    found: dict[str, Any] = page.evaluate(MEASURE, [count, width, height, rounds])
    if found["inked"] == 0:
        raise RuntimeError(f"nothing was drawn of {count} items")
    return found


def _lines(count: int, found: dict[str, Any]) -> Iterator[dict[str, object]]:
    case = f"{count} items"
    yield figure_line("viewer", case, "draw calls", found["calls"], "calls", 2)
    yield figure_line("viewer", case, "triangles", found["triangles"], "")
    yield figure_line("viewer", case, "bytes per item per update", found["bytes"], "B", 12)
    yield figure_line("viewer", case, "script per frame", found["frame"], "ms")
    yield figure_line("viewer", case, "script per update", found["update"], "ms")
    yield figure_line("viewer", case, "pick", found["pick"], "ms")


def bundle_kb() -> float:
    """What the browser loads for the viewer, gzipped [kB]."""
    return len(gzip.compress((assets_dir() / "index.js").read_bytes(), 9)) / 1000


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """The viewer alone on an empty page, without Streamlit."""
    yield figure_line("viewer", "bundle", "gzipped", bundle_kb(), "kB", 180)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1300, "height": 760})
        page.route(f"{ORIGIN}/**", _serve)
        page.goto(f"{ORIGIN}/")
        for count in SHORT_SIZES if short else SIZES:
            yield from _lines(count, _measure(page, count, 3 if count >= SMALL_FROM else 9))
        browser.close()
