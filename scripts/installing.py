"""The steps of `scripts/setup.py`: one line each, pip's own words in a log, errors in ours.

Standard library alone and old grammar, for the reason that setup.py gives.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import time

from setup import ROOT, STATE, VENV, VENV_PYTHON, VIEWER

OLDEST = (3, 11)
LOG = os.path.join(VENV, "orrery-setup.log")
VIEWER_LOG, WHEEL = os.path.join(VENV, "orrery-viewer.log"), os.path.join(VENV, "orrery-viewer")
# Two in five of all modules: packages' own tests and parts that nothing here imports. What is
# imported after all is compiled then.
UNUSED = (r"site-packages.*[/\\](tests?|testing|fontTools|graph_objs|mypyc?|rllib|lexers|vegalite"
          r"|physics|distutils|async_api|ray[/\\](data|serve|tune|train|llm))[/\\]")
DATA_ALONE = "its data alone"

# What a line of the log means for a person; the first that fits is said.
REASONS = [
    (r"No space left on device|Errno 28",
     "The disk is full. Free about 1.5 GB and run the command again."),
    (r"name resolution|Name or service not known|nodename nor servname|getaddrinfo|ENOTFOUND"
     r"|EAI_AGAIN|Network is unreachable|Failed to establish a new connection|ConnectTimeout"
     r"|Connection refused|ECONNREFUSED|Read timed out|ETIMEDOUT|ProxyError",
     "The package index did not answer: is there a network? Behind a proxy set HTTPS_PROXY, "
     "with a mirror set it in pip's own configuration; then run the command again."),
    (r"CERTIFICATE_VERIFY_FAILED|self[- ]signed certificate",
     "A certificate was refused. Behind an inspecting proxy point PIP_CERT and "
     "NODE_EXTRA_CA_CERTS at its certificate; then run the command again."),
    (r"the viewer was not built|npm (error|ERR!)|esbuild",
     "The viewer was not built: the lines above say which source file or package."),
    (r"No matching distribution found|Could not find a version",
     "A pinned package was not found: the index did not answer, or has no build for this "
     "machine. Orrery is tested with Python 3.11 to 3.13 on 64-bit Linux and macOS."),
]


class SetupError(Exception):
    """The set-up cannot go on; the text tells the person what to do."""


class Step:
    """One line of progress: "[2/4] Packages ... 31 s"."""

    def __init__(self, number: int, count: int, what: str) -> None:
        self.label = f"[{number}/{count}] {what} ... "
        self.started = time.monotonic()
        sys.stdout.write(self.label)
        sys.stdout.flush()

    def done(self, note: str = "") -> None:
        print(note or f"{time.monotonic() - self.started:.0f} s", flush=True)


def pythons() -> list[str]:
    """Pythons to try, the running one first; the newest named one after it."""
    named = [f"python3.{minor}" for minor in range(14, OLDEST[1] - 1, -1)]
    brewed = glob.glob("/opt/homebrew/bin/python3.1?") + glob.glob("/usr/local/bin/python3.1?")
    found = [shutil.which(name) for name in ["python3"] + named] + sorted(brewed, reverse=True)
    return [sys.executable] + [path for path in found if path]


def version_of(python: str) -> tuple[int, ...]:
    """(major, minor) of an interpreter; () when it does not start."""
    asked = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2])"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    words = asked.stdout.decode().split()
    return tuple(int(word) for word in words) if len(words) == 2 else ()


def new_enough() -> str:
    """The first Python that Orrery runs on."""
    seen = {}
    for python in pythons():
        seen[python] = version_of(python)
        if seen[python] >= OLDEST:
            return python
    have = ", ".join(sorted({".".join(map(str, v)) for v in seen.values() if v})) or "none"
    raise SetupError(
        "Orrery needs Python 3.11 or newer; found: " + have + ".\n"
        "  Debian 12, Ubuntu 24.04 or newer: sudo apt install python3 python3-venv\n"
        "  older Ubuntu: sudo apt install python3.11 python3.11-venv\n"
        "  macOS: brew install python, or the installer from python.org")


def make_environment() -> None:
    """Create `.venv`; says what to install where the venv module is a package of its own."""
    python = new_enough()
    if os.path.isdir(VENV) and not os.access(VENV_PYTHON, os.X_OK):
        shutil.rmtree(VENV)  # its Python is gone: nothing in it can run
    has_venv = subprocess.run([python, "-c", "import venv, ensurepip"],
                              stderr=subprocess.DEVNULL, check=False).returncode == 0
    if not has_venv:
        name = "python{}.{}-venv".format(*version_of(python))
        raise SetupError("This Python cannot make environments: its venv module is missing.\n"
                         "  Debian, Ubuntu: sudo apt install python3-venv   (or " + name + ")\n"
                         "Then run the command again.")
    made = subprocess.run([python, "-m", "venv", VENV], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupError("The environment .venv was not made:\n" + made.stdout.decode())


def pins(path: str, alone: bool = False) -> list[str]:
    """The requirement lines of a file, less comments, references and the viewer's folder. alone:
    those of which the data alone are used, which are installed without what they need."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        lines = [line.partition("#") for line in file]
    return [line.strip() for line, _, note in lines
            if line.strip() and line[0] not in "-." and (note.strip() == DATA_ALONE) == alone]


def telling_lines(said: str) -> list[str]:
    """The lines of a failed log that say why: errors of npm, esbuild or pip, else its end."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\[ERROR\]|npm error|Error:|ERROR:", line)]
    return errors[:12] or lines[-15:]


class Pip:
    """One quiet run of pip."""

    def __init__(self, arguments: list[str], log: str = LOG) -> None:
        command = [VENV_PYTHON, "-m", "pip", "--no-input", "--disable-pip-version-check"]
        self.log = log
        with open(log, "ab") as file:
            self.start = file.tell()
            self.process = subprocess.Popen(command + arguments, cwd=ROOT, stdin=subprocess.DEVNULL,
                                            stdout=file, stderr=subprocess.STDOUT)

    def end(self) -> None:
        """Wait for it; on failure show the end of its log and what it means."""
        if self.process.wait() == 0:
            return
        with open(self.log, "rb") as file:
            file.seek(self.start)
            said = file.read().decode(errors="replace")
        tail = "\n".join("    " + line for line in telling_lines(said))
        meaning = [words for pattern, words in REASONS if re.search(pattern, said)]
        advice = meaning[0] if meaning else "Run the command again; the lines above are pip's."
        where = os.path.relpath(self.log, ROOT)
        raise SetupError("not installed. From " + where + ":\n" + tail + "\n" + advice)

    def stop(self) -> None:
        """At once, where nobody waits for it any more."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def pip_install(arguments: list[str]) -> None:
    Pip(["install"] + arguments).end()


def compile_installed() -> None:
    """Bytecode of what is installed, by all processors: pip takes one, 40 s of 100. As pip does,
    files of another Python's grammar are passed over; so is UNUSED."""
    for folder in glob.glob(os.path.join(VENV, "lib", "python*", "site-packages")):
        with open(LOG, "ab") as log:
            subprocess.run([VENV_PYTHON, "-m", "compileall", "-q", "-j", "0",
                            "-x", UNUSED, folder],
                           stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                           check=False)


def write_state(state: dict[str, str]) -> None:
    """Replace the state file in one move, so that a break never leaves half of it."""
    with open(STATE + ".new", "w", encoding="utf-8") as file:
        file.writelines(name + " " + value + "\n" for name, value in sorted(state.items()))
    os.replace(STATE + ".new", STATE)


def install_step(step: Step, names: list[str], steps: dict[str, str], state: dict[str, str],
                 what: list[str], alone: list[str] | None = None) -> None:
    """A pip run for the stale digests `names`, and one for what comes without what it needs; a
    break in one leaves them stale."""
    if not names:
        step.done("unchanged")
        return
    write_state({name: value for name, value in state.items() if name not in names})
    pip_install(what)
    if alone:
        pip_install(["--no-deps", "--no-compile"] + alone)
    if "--no-compile" in what:
        compile_installed()
    state.update({name: steps[name] for name in names})
    write_state(state)
    step.done()


def run_steps(steps: dict[str, str], state: dict[str, str], stale: list[str], count: int) -> None:
    """Environment, packages, viewer: each only where it is stale, each told in one line."""
    step = Step(1, count, "Python environment")
    if os.access(VENV_PYTHON, os.X_OK):
        step.done("there")
    else:
        make_environment()
        step.done()
    files = {"packages": "requirements.txt", "dev": "requirements-dev.txt"}
    names = [name for name in files if name in stale]
    what, alone = ([pin for name in names for pin in pins(files[name], data_alone)]
                   for data_alone in (False, True))
    step = Step(2, count, "Packages")
    shutil.rmtree(WHEEL, ignore_errors=True)
    building = built_meanwhile() if names and "viewer" in stale else None
    try:
        install_step(step, names, steps, state, ["--no-compile"] + what, alone)
        step, what = Step(3, count, "Viewer"), ["./" + VIEWER]
        if building is not None:
            building.end()
            what = ["--no-deps"] + glob.glob(os.path.join(WHEEL, "*.whl"))
        install_step(step, [name for name in stale if name == "viewer"], steps, state, what)
    finally:
        if building is not None:
            building.stop()


def built_meanwhile() -> Pip:
    """The viewer's wheel, built while packages are installed: pip installs on one processor. What
    the viewer itself needs is among the packages."""
    return Pip(["wheel", "--no-deps", "--wheel-dir", WHEEL, "./" + VIEWER], VIEWER_LOG)


def install(steps: dict[str, str], state: dict[str, str], stale: list[str], count: int) -> int:
    """Do what is stale and remember it; 1 with a sentence on stderr when it cannot be done."""
    try:
        run_steps(steps, state, stale, count)
    except SetupError as error:
        sys.stderr.write("\n" + str(error) + "\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Run the command again to go on.\n")
        return 130
    return 0
