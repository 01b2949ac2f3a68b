"""A page loads no heavy package that it does not need.

One process renders page after page: what none of them has loaded by then, none loads alone. Each
page that a heavy package was there after, or that the process did not come to, is rendered in a
process of its own too, which tells whose it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("pybamm", "torch", "fastapi", "psycopg", "paho", "influxdb_client", "reactivex")
"""Of the engine's process too. SQLAlchemy, which the engine's start loads for its store, is
forbidden to pages and components alone: the contract "screens-see-no-source"."""
PAGES = sorted(path.name for path in (ROOT / "pages").glob("*.py") if path.name[0] != "_")

# Through the one frame, as a person enters; after each page a line of what is loaded by then.
RENDER = """
import json, sys
from streamlit import config
from streamlit.testing.v1 import AppTest
config.set_option("client.showErrorDetails", "full")
app = AppTest.from_file("Home.py", default_timeout=90).run()
for page in sys.argv[1:]:
    app.switch_page("pages/" + page).run()
    errors = [error.value for error in app.exception]
    loaded = sorted({name.split(".")[0] for name in sys.modules})
    print(json.dumps({"page": page, "errors": errors, "loaded": loaded}))
sys.stdout.flush()
import os
os._exit(0)  # the engine's thread would keep the process
"""


Answer = dict[str, list[str]]


def rendered(pages: Sequence[str], history: Path) -> tuple[dict[str, Answer], str]:
    """Of each page, in this order in one process: its errors, and the top-level packages that
    are loaded after it; and the last words of the process where it did not come to all."""
    environment = {**os.environ, "ORRERY_HISTORY_DIRECTORY": str(history),
                   "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "loopback")])}
    ran = subprocess.run([sys.executable, "-c", RENDER, *pages], cwd=ROOT, env=environment,
                         capture_output=True, text=True, timeout=180, check=False)
    told = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith('{"page"')]
    return {answer["page"]: answer for answer in told}, ran.stderr[-4000:]


def heavy(answer: Answer) -> set[str]:
    return set(answer["loaded"]) & set(HEAVY)


@pytest.fixture(scope="module")
def in_one_process(told_past: Callable[[], Path]) -> tuple[dict[str, Answer], str]:
    return rendered(PAGES, told_past())


def test_there_are_pages() -> None:
    assert PAGES


def test_one_process_renders_all_pages(in_one_process: tuple[dict[str, Answer], str]) -> None:
    answers, said = in_one_process
    assert {page: answer["errors"] for page, answer in answers.items()} == dict.fromkeys(
        PAGES, []), said


@pytest.mark.parametrize("page", PAGES)
def test_page_renders_without_heavy_packages(
        page: str, in_one_process: tuple[dict[str, Answer], str],
        told_past: Callable[[], Path]) -> None:
    answer = in_one_process[0].get(page)
    if answer is None or answer["errors"] or heavy(answer):
        alone, said = rendered([page], told_past())
        assert page in alone, said
        answer = alone[page]
    assert answer["errors"] == []
    assert heavy(answer) == set()
