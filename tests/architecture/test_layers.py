"""The house stands as design says: the contracts in pyproject.toml, kept by import-linter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"core", "sim", "sources", "store", "services", "components", "pages"}
# The front doors stand outside the packages that import-linter reads.
MAY_IMPORT = {"Home.py": {"components", "core"}, "server.py": {"components", "core", "services"}}


def imported_packages(path: Path) -> set[str]:
    """Packages of the house that a file names in an import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
             for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names} & PACKAGES


def test_import_contracts_are_kept() -> None:
    program = "from importlinter.cli import lint_imports_command as run; run()"
    ran = subprocess.run([sys.executable, "-c", program, "--no-cache"], cwd=ROOT,
                         capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


@pytest.mark.parametrize("name", sorted(MAY_IMPORT))
def test_front_door_imports_no_more_than_it_may(name: str) -> None:
    unexpected = imported_packages(ROOT / name) - MAY_IMPORT[name]
    assert not unexpected, f"{name} imports {sorted(unexpected)}"
