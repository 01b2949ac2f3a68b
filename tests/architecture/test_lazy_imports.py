"""A page loads no heavy package that it does not need: each is rendered in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("pybamm", "torch", "fastapi", "psycopg", "paho", "influxdb_client", "reactivex")
"""Of the engine's process too. SQLAlchemy, which the engine's start loads for its store, is
forbidden to pages and components alone: the contract "screens-see-no-source"."""
PAGES = sorted(path.name for path in (ROOT / "pages").glob("*.py") if path.name[0] != "_")

# Through the one frame, as a person enters; then what was loaded, as the last line.
RENDER = """
import json, sys
from streamlit import config
from streamlit.testing.v1 import AppTest
config.set_option("client.showErrorDetails", "full")
app = AppTest.from_file("Home.py", default_timeout=90).run()
app.switch_page("pages/" + sys.argv[1]).run()
errors = [error.value for error in app.exception]
loaded = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps({"errors": errors, "loaded": loaded}))
sys.stdout.flush()
import os
os._exit(0)  # the engine's thread would keep the process
"""


def rendered(page: str, history: Path) -> dict[str, list[str]]:
    """Errors and loaded top-level packages of one page."""
    environment = {**os.environ, "ORRERY_HISTORY_DIRECTORY": str(history),
                   "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "loopback")])}
    ran = subprocess.run([sys.executable, "-c", RENDER, page], cwd=ROOT, env=environment,
                         capture_output=True, text=True, timeout=180, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    answer = json.loads(ran.stdout.strip().splitlines()[-1])
    assert isinstance(answer, dict)
    return answer


def test_there_are_pages() -> None:
    assert PAGES


@pytest.mark.parametrize("page", PAGES)
def test_page_renders_without_heavy_packages(page: str, tmp_path: Path) -> None:
    answer = rendered(page, tmp_path)
    assert answer["errors"] == []
    assert set(answer["loaded"]).isdisjoint(HEAVY)
