"""Bandit finds nothing in the product at medium severity and confidence; what is left out, and
why, stands in pyproject.toml alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.architecture.test_style import ROOT, tracked

LOOKED_AT = ("core", "components", "pages", "sim", "store", "sources", "services", "scripts",
             "server.py", "Home.py")
BAD = """import subprocess
import yaml


def run(name, database):
    subprocess.run(f"ping {name}", shell=True)
    database.execute(f"SELECT * FROM users WHERE name = '{name}'")
    return yaml.load(name)
"""


def bandit(*paths: str) -> subprocess.CompletedProcess[str]:
    """At medium severity and confidence, with this project's exceptions."""
    return subprocess.run(
        [sys.executable, "-m", "bandit", "-q", "-c", str(ROOT / "pyproject.toml"),
         "--severity-level", "medium", "--confidence-level", "medium", *paths],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_bandit_finds_nothing() -> None:
    files = tracked(*(f"{name}/*.py" if (ROOT / name).is_dir() else name for name in LOOKED_AT))
    assert len(files) > 300
    ran = bandit(*map(str, files))
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


def test_bandit_looks(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(BAD)
    ran = bandit(str(tmp_path / "bad.py"))
    assert ran.returncode == 1
    for check in ("B602", "B506", "B608"):
        assert check in ran.stdout


def test_no_exception_stands_in_a_file() -> None:
    """They stand in pyproject.toml, where each has its reason."""
    mark = "no" + "sec"
    marked = [str(path.relative_to(ROOT)) for path in tracked("*.py")
              if f"# {mark}" in path.read_text(encoding="utf-8")]
    assert not marked
