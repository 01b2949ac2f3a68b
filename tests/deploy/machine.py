"""The section "Without containers" of deploy/README.md, followed to the letter in a folder that
stands for a machine: what needs root's rights alone is written down instead of done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.fronts import DEPLOY

ROOTED = re.compile(r"(?<![\w/.-])/(?=(etc|opt/orrery|root|run|var/lib)\b)")
AS_ROOT = ("chown", "make", "su", "systemctl", "useradd")
OF_DEBIAN = ("etc/mosquitto", "etc/nginx/conf.d", "etc/nginx/sites-enabled", "etc/systemd/system",
             "root", "opt/orrery/.venv/bin", "run/orrery-coordinator", "var/lib/mosquitto")
PYTHON = "/opt/orrery/.venv/bin/python"
STUB = '#!/bin/sh\nprintf "%s\\n" "${0##*/} $*" >> "$SAID"\n'


def section() -> str:
    """Of the README: how it is done without containers."""
    text = (DEPLOY / "README.md").read_text()
    return re.findall(r"(?ms)^## Without containers$(.*?)^## ", text)[0]


def steps() -> list[str]:
    """What a person types, one text a step."""
    found = re.findall(r"(?ms)^   ```$(.*?)^   ```$", section())
    assert len(re.findall(r"(?m)^\d\. ", section())) == len(found), "each step says what to type"
    return [textwrap.dedent(text) for text in found]


@dataclass(frozen=True)
class Unit:
    """A systemd unit as its file says. instance: what stands for %i."""

    file: Path
    instance: str = ""

    @property
    def text(self) -> str:
        return self.file.read_text().replace("%i", self.instance)

    @property
    def own(self) -> dict[str, str]:
        """Variables that the unit itself sets."""
        pairs = [pair for line in re.findall(r"(?m)^Environment=(.*)$", self.text)
                 for pair in line.split()]
        return dict(pair.split("=", 1) for pair in pairs)

    @property
    def asked(self) -> set[str]:
        """Variables that its command names."""
        [line] = re.findall(r"(?m)^ExecStart=(.*)$", self.text)
        return set(re.findall(r"\$\{?([A-Z_]+)\}?", line))

    @property
    def variables_file(self) -> str:
        return re.findall(r"(?m)^EnvironmentFile=-?(.*)$", self.text)[0]

    @property
    def paths(self) -> set[str]:
        """Files under /etc/orrery that it names, its comments left out."""
        said = "\n".join(line for line in self.text.splitlines() if not line.startswith("#"))
        return set(re.findall(r"/etc/orrery/[\w./-]+", said))

    def command(self, variables: dict[str, str]) -> list[str]:
        """As systemd splits it: ${A} is one word, $A as many as it has."""
        [line] = re.findall(r"(?m)^ExecStart=(.*)$", self.text)
        words: list[str] = []
        for word in line.split():
            if re.fullmatch(r"\$[A-Z_]+", word):
                words += variables[word[1:]].split()
            else:
                words.append(re.sub(r"\$\{([A-Z_]+)\}", lambda one: variables[one[1]], word))
        return words


UNITS = {file.stem.removeprefix("orrery-").rstrip("@"):
         Unit(file, "pack_001" if "@" in file.name else "")
         for file in sorted((DEPLOY / "systemd").glob("*.service"))}


class Machine:
    """folder: its root. changes: addresses in the files that the steps make, as they are here. The
    broker's name is localhost here."""

    def __init__(self, folder: Path, changes: dict[str, str]) -> None:
        self.folder, self._changes = folder, changes
        for name in OF_DEBIAN:
            (folder / name).mkdir(parents=True)
        (folder / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
        (folder / "etc" / "nginx" / "sites-enabled" / "default").write_text("listen 80;\n")
        (folder / "opt" / "orrery" / "deploy").symlink_to(DEPLOY)
        tools = folder / "tools"
        tools.mkdir()
        for place in (*(tools / name for name in AS_ROOT),
                      folder / "opt" / "orrery" / ".venv" / "bin" / "python"):
            place.write_text(STUB + ('cat > "$SAID.sql"\n' if place.name == "su" else ""))
            place.chmod(0o755)

    def here(self, text: str) -> str:
        """Its paths and ports in place of a real machine's."""
        for old, new in self._changes.items():
            text = text.replace(old, new)
        return ROOTED.sub(f"{self.folder}/", text)

    def path(self, name: str) -> Path:
        return self.folder / name.lstrip("/")

    def follow(self) -> None:
        """All steps, in one shell that ends at the first thing that fails."""
        typed = "\n".join(steps()).replace("certificates mosquitto app",
                                           "certificates localhost app")
        ran = subprocess.run(["sh", "-eu"], input=ROOTED.sub(f"{self.folder}/", typed), text=True,
                             capture_output=True, check=False, timeout=60, cwd=self.folder,
                             env={"PATH": f"{self.folder / 'tools'}:{os.environ['PATH']}",
                                  "SAID": str(self.folder / "said")})
        assert ran.returncode == 0, ran.stdout + ran.stderr
        for file in (self.folder / "etc").rglob("*"):
            if file.suffix in {".toml", ".env", ".conf"}:
                file.write_text(self.here(file.read_text()))

    def said(self) -> list[str]:
        """What root was to do, in order."""
        return (self.folder / "said").read_text().splitlines()

    def sql(self) -> list[str]:
        text = (self.folder / "said.sql").read_text()
        return [one.strip() for one in text.split(";") if one.strip()]

    def variables(self, unit: Unit) -> dict[str, str]:
        """As systemd gives them to it: what the file says holds."""
        file = self.path(unit.variables_file)
        pairs = (line.split("=", 1) for line in file.read_text().splitlines())
        return {name: self.here(value) for name, value in {**unit.own, **dict(pairs)}.items()}

    def command(self, unit: Unit) -> list[str]:
        words = unit.command(self.variables(unit))
        assert words[0] == PYTHON
        return [sys.executable, *(self.here(word) for word in words[1:])]
