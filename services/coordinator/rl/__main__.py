"""Train, judge and deploy a policy, `python -m services.coordinator.rl train --site packs`.

    train        from the site's recorded past; --resume RUN goes on with one that was ended
    cancel RUN   ends a run after its next step
    deploy RUN   puts its policy where it drives, if the gate let it
    back         goes back to the policy before

With --role edge the packs of the site are sent it over their broker, and answer; a broker that
asks who comes has a user for that, "policies" (deploy/mosquitto).
With --ray the fine-tuning is RLlib's, on a Ray cluster: its address, or "local".
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from core.actors import SOMEBODY
from core.clock import Clock, SystemClock
from core.config import load_config
from core.coordinator import placed
from core.coordinator.actor import FILE, LEAST_KEY, Actor, load
from core.coordinator.alone import EDGE
from core.coordinator.blend import Blend
from core.coordinator.candidates import NAME as ACTOR
from core.coordinator.learnt import HERE
from core.coordinator.view import Deployment
from core.errors import GiveUpError, OrreryError, RequestError
from core.registry import make_coordinator_store
from core.secrets import secret
from services.command_line import CANNOT_START, until_a_signal
from services.coordinator.rl import export, packs, progress
from services.coordinator.rl.past import recorded
from services.coordinator.rl.prepare import prepared

KEY = "ORRERY_ACTOR_KEY"
NOT_ALL = 1
NO_KEY = (f"A policy is signed: give a secret of at least {LEAST_KEY} characters in the variable "
          "that --key-variable names, or in .streamlit/secrets.toml")

NO_RAY = ("Ray is not installed here: use make rl, or an environment of its own with "
          "pip install -r requirements-rllib.txt")
NO_TORCH = ("PyTorch is not installed here: use make rl, or an environment of its own with "
            "pip install -r requirements-rl.txt")


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = argparse.ArgumentParser(prog="python -m services.coordinator.rl", description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", choices=("train", "cancel", "deploy", "back"))
    words.add_argument("run", nargs="?", default="")
    words.add_argument("--config", type=Path, help="orrery.toml, or what ORRERY_CONFIG names")
    words.add_argument("--site", default="packs")
    words.add_argument("--runs", type=Path, default=Path("data/coordinator/rl"))
    words.add_argument("--place", type=Path, default=Path("data/coordinator") / ACTOR,
                       help="where the policy that drives lies")
    words.add_argument("--role", choices=("site", "edge"), default="site")
    words.add_argument("--device", action="append", default=[],
                       help="with --role edge: this pack alone; may be given again")
    words.add_argument("--username", default=packs.USER,
                       help="with --role edge: at a broker that asks for a password")
    words.add_argument("--password-variable", default=packs.VARIABLE,
                       help="environment variable that holds it")
    words.add_argument("--cert-file", default="",
                       help="of that user, at a broker that asks for certificates")
    words.add_argument("--key-file", default="")
    words.add_argument("--key-variable", default=KEY)
    words.add_argument("--capacity-kwh", type=float)
    words.add_argument("--until", type=datetime.fromisoformat, metavar="DATE",
                       help="learn from the year that ends then, instead of today")
    words.add_argument("--resume", default="", metavar="RUN")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--fleets", type=int, default=4, help="for each day that is demonstrated")
    words.add_argument("--passes", type=int, default=30)
    words.add_argument("--rounds", type=int, default=3, help="of correction (DAgger)")
    words.add_argument("--updates", type=int, default=40_000, help="of the critics (SAC)")
    words.add_argument("--ray", default="", metavar="ADDRESS",
                       help="of a Ray cluster (host:port, auto), or local")
    words.add_argument("--runners", type=int, default=2, help="processes of the cluster")
    words.add_argument("--steps", type=int, default=100_000, help="of RLlib's environments")
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    asked = parser().parse_args(arguments)
    try:
        return {"train": _train, "cancel": _cancel, "deploy": _deploy, "back": _back}[
            asked.what](asked, SystemClock())
    except OrreryError as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_START


def _train(asked: argparse.Namespace, clock: Clock) -> int:
    key, config = _key(asked), load_config(asked.config)
    if find_spec("torch") is None:
        raise RequestError(NO_TORCH)
    if asked.ray and find_spec("ray") is None:
        raise RequestError(NO_RAY)
    from services.coordinator.rl.train import Cluster, Effort, Training
    stop = until_a_signal()
    folder = progress.folder_of(asked.runs, asked.resume or _name(clock.now()))
    folder.mkdir(parents=True, exist_ok=bool(asked.resume))
    (folder / progress.CANCEL).unlink(missing_ok=True)
    until = None if asked.until is None else asked.until.astimezone(UTC)
    told = recorded(config, clock, asked.site, asked.capacity_kwh, until)
    store = make_coordinator_store(config)
    training = Training(
        folder.name, folder, prepared(told.year, told.capacity_kwh, told.zone, Blend), told,
        Effort(asked.fleets, asked.passes, asked.rounds, asked.updates), store.keep_training,
        clock.now, stop.is_set, asked.seed, _in_force(asked.place, key),
        Cluster(asked.ray, asked.runners, asked.steps) if asked.ray else None)
    found = training.learn()
    if len(found) < len(training.methods):
        sys.stdout.write(f"Ended; go on with --resume {folder.name}\n")
        return 0
    actor, evaluation = training.judge(found, f"trained for the site {asked.site}")
    made = export.export(actor, key, folder / ACTOR)
    store.keep_evaluation(evaluation)
    for name, part in sorted(evaluation.captured_pct.items(), key=lambda item: item[1]):
        sys.stdout.write(f"{name:18} {part:6.1f} %\n")
    sys.stdout.write(f"{evaluation.verdict}\n{made.path}: {made.size_bytes:,} bytes\n")
    store.close()
    return 0


def _in_force(place: Path, key: str) -> Actor | None:
    """The site's own, or the shipped one; None for a file that is not to be trusted, which drives
    nothing."""
    try:
        return load(place if place.exists() else FILE, key)
    except GiveUpError:
        return None


def _cancel(asked: argparse.Namespace, clock: Clock) -> int:
    progress.cancel(asked.runs, asked.run)
    return 0


def _deploy(asked: argparse.Namespace, clock: Clock) -> int:
    key = _key(asked)
    candidate = progress.folder_of(asked.runs, asked.run) / ACTOR
    if not candidate.exists():
        raise RequestError(f"The run {asked.run} has no policy yet: it was not trained to its end")
    if asked.role == EDGE:
        placed.let(candidate.read_bytes(), key, EDGE)
        return _send(asked, clock, "deploy", candidate.read_bytes())
    before = load(asked.place, key).record.version if asked.place.exists() else ""
    verdict = placed.deploy(candidate.read_bytes(), asked.place, key, asked.role)
    _keep(asked, clock, load(asked.place, key).record.version, before)
    sys.stdout.write(f"{verdict.words}\n")
    return 0


def _send(asked: argparse.Namespace, clock: Clock, action: str, policy: bytes | None) -> int:
    sender = packs.Sender(asked.username, asked.password_variable, asked.cert_file, asked.key_file)
    done, told = packs.send(sender.instead(load_config(asked.config)), clock, asked.site,
                            asked.device, action, _who(), policy)
    sys.stdout.write(f"{told}\n")
    return 0 if done else NOT_ALL


def _who() -> str:
    return os.environ.get("USER") or SOMEBODY


def _back(asked: argparse.Namespace, clock: Clock) -> int:
    if asked.role == EDGE:
        return _send(asked, clock, "roll_back", None)
    key = _key(asked)
    before = load(asked.place, key).record.version if asked.place.exists() else ""
    record = placed.roll_back(asked.place, key)
    _keep(asked, clock, record.version, before)
    sys.stdout.write(f"{record.version} is back in its place\n")
    return 0


def _keep(asked: argparse.Namespace, clock: Clock, version: str, before: str) -> None:
    store = make_coordinator_store(load_config(asked.config))
    store.keep_deployment(Deployment(HERE, version, clock.now(), _who(), before))
    store.close()


def _key(asked: argparse.Namespace) -> str:
    found = secret(asked.key_variable)
    if found is None or len(found) < LEAST_KEY:
        raise RequestError(NO_KEY)
    return found


def _name(now: datetime) -> str:
    return f"run-{now:%Y%m%d-%H%M%S}"


if __name__ == "__main__":
    sys.exit(main())
