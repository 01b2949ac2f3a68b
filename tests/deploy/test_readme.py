"""deploy/README.md: what a person types for compose and Kubernetes names what there is."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from scripts.app_process import ROOT
from tests.deploy.fronts import DEPLOY

TEXT = (DEPLOY / "README.md").read_text()
KUBECTL = '#!/bin/sh\nprintf "%s\\n" "$*" >> "$SAID"\n'


def typed(title: str) -> str:
    """The first block of a section."""
    return re.findall(rf"(?ms)^## {title}$.*?^```$(.*?)^```$", TEXT)[0]


def test_kubernetes_gets_every_file_once_and_not_the_example_of_a_secret(tmp_path: Path) -> None:
    """The example's values are known to everybody, and would take the place of the real ones."""
    program, said = tmp_path / "kubectl", tmp_path / "said"
    program.write_text(KUBECTL)
    program.chmod(0o755)
    subprocess.run(["sh", "-eu"], input=typed("Kubernetes"), text=True, check=True, cwd=ROOT,
                   env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "SAID": str(said)}, timeout=30)
    lines = said.read_text().splitlines()
    applied = [line.removeprefix("apply -f ") for line in lines if line.startswith("apply -f ")]
    shipped = [f"deploy/kubernetes/{file.name}" for file in (DEPLOY / "kubernetes").iterdir()
               if "example" not in file.name]
    first, namespace = applied[0], "deploy/kubernetes/namespace.yaml"
    assert first == namespace, "everything else is in it"
    assert sorted(applied[1:]) == sorted([*shipped, "my-secret.yaml"])
    [broker] = [line for line in lines if "configmap mosquitto" in line]
    for file in re.findall(r"--from-file=\S+?=(\S+)", broker):
        assert (ROOT / file).is_file(), file


def test_files_that_it_names_are_there() -> None:
    """Beside it, or from the root as a command has it; what its own steps make is left out."""
    named = set(re.findall(r"`((?:[\w-]+/)+(?:[\w.-]+\.(?:toml|conf|cfg|yaml|sh|txt))?)`", TEXT))
    assert len(named) > 8
    for name in named:
        made = name.startswith("certificates/") or name == "sign-in/secrets.toml"
        assert made or (DEPLOY / name).exists() or (ROOT / name).exists(), name
    for name in re.findall(r"\bdeploy/[\w./@-]*\w", "".join(
            re.findall(r"(?ms)^ *```$(.*?)^ *```$", TEXT))):
        made = name.startswith(("deploy/certificates", "deploy/.env"))
        assert made or (ROOT / name).exists(), name


def test_compose_and_readme_say_the_same_commands() -> None:
    head = (DEPLOY / "compose.yaml").read_text().split("name: orrery")[0].replace("#   ", "")
    for command in (r"certificates\.sh deploy.*", r"chown -R 10001 \S+", r"chown -R 1883 \S+",
                    r"chown -R 0 \S+", r"cp deploy/\.env\.example deploy/\.env"):
        [shown] = set(re.findall(command, typed("One machine with Docker")))
        assert shown in head, shown
