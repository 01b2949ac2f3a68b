"""`make pictures`: every page, light and dark, desktop and phone, into pictures/ (git-ignored).

Files are named <page>_<dark|light>_<d|p>.png; `_p_full` is the whole length of the phone's
page. Arguments are names of pages; none means all.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from scripts.app_process import ROOT, AppProcess
from scripts.chromium import FLAGS, find_chromium

OUT = ROOT / "pictures"
SIZES: dict[str, ViewportSize] = {
    "d": {"width": 1440, "height": 900},
    "p": {"width": 390, "height": 844},
}
# No skeleton waits for data, every viewer has drawn.
DRAWN = """() => !document.querySelector('[data-testid=stSkeleton]')
    && Array.from(window.__spheres ?? []).every(viewer => viewer.ready)"""
# There is a page, and none of its parts runs.
RESTS = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  const main = document.querySelector('[data-testid=stMain]');
  if (!app || !main || !main.innerText.trim()) return false;
  if (document.querySelector('[data-testid=stStatusWidget]')) return false;
  return ['notRunning', undefined].includes(app.dataset.testScriptState);
}"""
QUIET_S = 1.5


def page_names() -> list[str]:
    """Pages of the app: the file names in pages/ are its addresses."""
    return sorted(path.stem for path in (ROOT / "pages").glob("*.py") if path.stem[0] != "_")


def wait_until_settled(page: Page, timeout_s: float = 45.0) -> bool:
    """It rests, and rests QUIET_S later, with all drawn meanwhile: a part that runs each second is
    no unrest. False when the time is over (the picture shows why)."""
    deadline = time.monotonic() + timeout_s
    since: float | None = None
    while (now := time.monotonic()) < deadline:
        if not page.evaluate(DRAWN):
            since = None
        elif page.evaluate(RESTS):
            since = now if since is None else since
            if now - since >= QUIET_S:
                return True
        page.wait_for_timeout(150)
    return False


def open_page(page: Page, url: str, name: str) -> None:
    """Go to a page by its address; the landing page may answer at the root alone."""
    page.goto(f"{url}/{name}", wait_until="load")
    page.locator("[data-testid=stMain]").wait_for()
    try:
        page.get_by_role("dialog").get_by_text("Page not found").wait_for(timeout=1500)
    except PlaywrightTimeoutError:
        return
    page.goto(url, wait_until="load")


def take(browser: Browser, url: str, name: str, scheme: str, size: str) -> Iterator[Path]:
    """The pictures of one page in one theme at one size."""
    context = browser.new_context(
        viewport=SIZES[size], color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce", device_scale_factor=1, has_touch=size == "p")
    page = context.new_page()
    open_page(page, url, name)
    if not wait_until_settled(page):
        print(f"  {name} {scheme} {size}: not settled after 45 s", file=sys.stderr)
    yield shoot(page, OUT / f"{name}_{scheme}_{size}.png")
    if size == "p":
        yield shoot_full(page, OUT / f"{name}_{scheme}_p_full.png")
    context.close()


def shoot(page: Page, path: Path) -> Path:
    """What the window shows."""
    page.screenshot(path=path)
    return path


def shoot_full(page: Page, path: Path) -> Path:
    """The whole page: Streamlit scrolls inside stMain, so the window grows to its height."""
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": SIZES["p"]["width"], "height": max(844, min(height, 8000))})
    wait_until_settled(page, 10)
    return shoot(page, path)


def main(arguments: Sequence[str]) -> int:
    """Start the app, take every picture, say how many."""
    names = page_names()
    wanted = [name for name in names if not arguments or name in arguments]
    chromium = find_chromium()
    if chromium is None or not wanted:
        print("No Chromium here (make test installs it)." if chromium is None else
              f"No such page. There are: {', '.join(names) or 'none'}.", file=sys.stderr)
        return 1
    OUT.mkdir(exist_ok=True)
    count = 0
    with AppProcess() as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for name in wanted:
            for scheme in ("dark", "light"):
                for size in SIZES:
                    count += len(list(take(browser, app.url, name, scheme, size)))
            print(f"{name}: {OUT.name}/{name}_*.png", flush=True)
        browser.close()
    print(f"{count} pictures in {OUT.name}/")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
