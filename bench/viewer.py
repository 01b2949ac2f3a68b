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
DEEP, SHORT_DEEP = 100_000, 10_000
ROUNDS, SHORT_ROUNDS = 15, 7
TIMEOUT_MS = 120_000
# A software GL draws ten thousand spheres at full size for seconds; script time does not change.
SMALL_FROM, SMALL = 10_000, (256, 144)
UPDATE_BUDGET_MS = 8.0
UPDATE_BUDGET_BYTES = 1_200_000
PICK_BUDGET_MS = 1.0
MEASURE = """
async ([count, deep, width, height, rounds]) => {
  const { Viewer, readItems } = await import('/index.js');
  document.body.replaceChildren();
  const host = document.createElement('div');
  host.style.cssText = `width:${width}px;height:${height}px`;
  document.body.append(host);

  // As many items in four tiers, as the levels of a site are; or all of them in one.
  const tiers = deep ? [10, 300, 6000, count - 6310] : [count];
  const [parents, tier] = [new Int32Array(count).fill(-1), new Uint8Array(count).fill(1)];
  let at = tiers[0];
  for (let t = 1; t < tiers.length; t++) {
    const above = at - tiers[t - 1];
    for (let k = 0; k < tiers[t]; k++, at++) {
      parents[at] = above + Math.floor(k * tiers[t - 1] / tiers[t]);
      tier[at] = t + 1;
    }
  }

  // What the page hands over: each column one block, the texts as UTF-8.
  const encoded = new TextEncoder().encode(
    Array.from({ length: count }, (_, i) => `item_${String(i).padStart(6, '0')}`).join(''));
  const offsets = Int32Array.from({ length: count + 1 }, (_, i) => i * 11);
  const texts = () => ({
    data: [{ values: encoded.slice(), valueOffsets: offsets.slice(), offset: 0 }] });
  const column = (kind, read) => kind.from({ length: count }, (_, i) => read(i));
  const table = (tick) => {
    const columns = {
      id: texts(), name: texts(),
      capacity_kwh: column(Float32Array, (i) => 40 + 2 * Math.sin(i + tick)),
      power_kw: column(Float32Array, (i) => 20 * Math.sin(i + tick)),
      soc_pct: column(Float32Array, (i) => (i * 7 + tick * 3) % 100),
      state: column(Uint8Array, (i) => (Math.sin(i + tick) > 0 ? 2 : 1)),
      alarm: column(Uint8Array, (i) => (i % 1009 === 7 ? 3 : 0)),
      alarm_count: column(Uint16Array, (i) => (i % 1009 === 7 ? 1 : 0)),
      age_s: column(Float32Array, () => 1), stale: new Uint8Array(count),
      can_drill: new Uint8Array(count),
      parent_row: parents.slice(), tier: tier.slice(), group: new Uint16Array(count),
      value: column(Float32Array, (i) => 20 + (i * 3 + tick) % 40),
      dim: new Uint8Array(count), fresh_alarm: new Uint8Array(count),
    };
    const child = (found) => found.data ? found : { toArray: () => found };
    return { numRows: count, getChild: (name) => child(columns[name]) };
  };
  const meta = {
    path: [], parent: { id: 'top', name: 'Top', power_kw: 0, depth: 0 }, level: 'racks',
    no_drill_reason: '', selected: null, select_seq: 0, palette: 'safe', theme: 'dark',
    label_cap: 64, show_labels: true, sign: 'discharge', reduced_motion: true, height,
    colour: { by: 'temperature_c', label: 'Temperature', unit: 'C', kind: 'sequential', low: 20,
      high: 60, decimals: 1 },
  };

  if (window.__sent === undefined) {
    const sizes = {
      bufferSubData: (_target, _offset, data, _start, length) =>
        (length ?? data.length) * data.BYTES_PER_ELEMENT,
      bufferData: (_target, data) => data?.byteLength ?? 0,
    };
    for (const [name, size] of Object.entries(sizes)) {
      const real = WebGL2RenderingContext.prototype[name];
      WebGL2RenderingContext.prototype[name] = function (...all) {
        window.__sent += size(...all);
        return real.apply(this, all);
      };
    }
  }

  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  const quiet = () => undefined;
  const viewer = new Viewer(host, { selected: quiet, drill: quiet, up: quiet, failed: quiet });
  const began = performance.now();
  viewer.update(readItems(table(0)), meta);
  const first = performance.now() - began;
  // A software GL takes the processor after each picture: what is timed waits until it is done.
  const { stage } = viewer.scene;
  stage.inked();
  const [updates, picks] = [[], []];
  for (let tick = 1; tick <= rounds; tick++) {
    const next = table(tick);
    const started = performance.now();
    viewer.update(readItems(next), meta);
    updates.push(performance.now() - started);
    const times = 20;
    viewer.pickClient(0, 0);
    const pointed = performance.now();
    for (let k = 0; k < times; k++) {
      viewer.pickClient(width * (k + tick / rounds) / times, height * (k + 1) / times);
    }
    picks.push((performance.now() - pointed) / times);
  }
  window.__sent = 0;
  viewer.drawNow();
  const [frame, bytes] = [viewer.frameMs, window.__sent];
  const inked = stage.inked();
  const found = {
    inked, calls: stage.drawCalls, triangles: stage.triangles, bytes, frame, first,
    update: median(updates), pick: median(picks),
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


def _measure(page: Page, count: int, rounds: int, deep: bool = False) -> dict[str, Any]:
    width, height = SMALL if count >= SMALL_FROM else (1280, 720)
    found: dict[str, Any] = page.evaluate(MEASURE, [count, deep, width, height, rounds])
    if found["inked"] == 0:
        raise RuntimeError(f"nothing was drawn of {count} items")
    return found


def _lines(case: str, found: dict[str, Any]) -> Iterator[dict[str, object]]:
    yield figure_line("viewer", case, "draw calls", found["calls"], "calls", 2)
    yield figure_line("viewer", case, "triangles", found["triangles"], "")
    yield figure_line("viewer", case, "bytes per update", found["bytes"], "B", UPDATE_BUDGET_BYTES)
    yield figure_line("viewer", case, "script per frame", found["frame"], "ms")
    yield figure_line("viewer", case, "script per update", found["update"], "ms",
                      UPDATE_BUDGET_MS)
    yield figure_line("viewer", case, "pick", found["pick"], "ms", PICK_BUDGET_MS)
    yield figure_line("viewer", case, "script of the first picture", found["first"], "ms")


def bundle_kb() -> float:
    """What the browser loads for the viewer, gzipped [kB]."""
    return len(gzip.compress((assets_dir() / "index.js").read_bytes(), 9)) / 1000


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """The viewer alone on an empty page, without Streamlit."""
    yield figure_line("viewer", "bundle", "gzipped", bundle_kb(), "kB", 180)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1300, "height": 760})
        page.set_default_timeout(TIMEOUT_MS)
        page.route(f"{ORIGIN}/**", _serve)
        page.goto(f"{ORIGIN}/")
        for count in SHORT_SIZES if short else SIZES:
            found = _measure(page, count, ROUNDS)
            yield from _lines(f"{count} items", found)
        count = SHORT_DEEP if short else DEEP
        deep = _measure(page, count, SHORT_ROUNDS if short else ROUNDS, deep=True)
        yield from _lines(f"{count} items in 4 tiers", deep)
        browser.close()
