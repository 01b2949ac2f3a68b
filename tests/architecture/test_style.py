"""Style that a machine can hold: ruff, mypy, size of modules, annotations."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("core", "sim", "sources", "store", "services", "components", "pages")
LONGEST_PAGE = 120
LONGEST_MODULE = 600


def tracked(*patterns: str) -> list[Path]:
    """Files that git tracks or would track (new ones, not ignored), by pattern."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in sorted(set(listed.split("\0"))) if (ROOT / name).is_file()]


def pages() -> list[Path]:
    return tracked("pages/*.py")


def run(*command: str) -> None:
    """Run a tool of this environment; what it says is the failure."""
    ran = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True,
                         text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_ruff() -> None:
    run("ruff", "check", "--no-cache", ".")


def test_mypy() -> None:
    run("mypy")


def test_pages_are_layout_and_calls_only() -> None:
    assert pages(), "there is no page"
    long = {path.name: lines_of(path) for path in pages() if lines_of(path) > LONGEST_PAGE}
    assert not long, f"pages are at most {LONGEST_PAGE} lines: {long}"
    classes = {path.name: node.name for path in pages()
               for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
               if isinstance(node, ast.ClassDef)}
    assert not classes, f"pages hold no classes: {classes}"


def test_modules_stay_small() -> None:
    long = {str(path.relative_to(ROOT)): lines_of(path) for path in tracked("*.py", "*.ts")
            if lines_of(path) > LONGEST_MODULE}
    assert not long, f"modules are at most {LONGEST_MODULE} lines: {long}"


def bare_functions(path: Path) -> list[str]:
    """Functions with a parameter or a result that has no annotation."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        bare = [arg.arg for arg in given
                if arg.annotation is None and arg.arg not in {"self", "cls"}]
        if bare or node.returns is None:
            found.append(f"{node.name} ({', '.join(bare) or 'its result'})")
    return found


@pytest.mark.parametrize("package", PRODUCT)
def test_functions_are_annotated(package: str) -> None:
    found = {str(path.relative_to(ROOT)): bare for path in tracked(f"{package}/*.py")
             if (bare := bare_functions(path))}
    assert not found, f"functions without full annotations: {found}"
