"""What a training run tells while it goes on: a line of JSON for each step forward in its own
folder, and the same to the coordinator's store, which the page reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from core.coordinator.view import TrainingRun
from core.errors import RequestError

LINES, CANCEL = "progress.jsonl", "cancel"
MOST_POINTS = 200
RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")

Keep = Callable[[TrainingRun], None]


def folder_of(root: Path, run: str) -> Path:
    """Raises RequestError for what is no name of a run."""
    if not RUN_ID.fullmatch(run):
        raise RequestError(f"{run!r} is no run: give small letters, digits, - and _")
    return root / run


def cancel(root: Path, run: str) -> None:
    """Ask a run to end after its next step; raises RequestError where there is none."""
    folder = folder_of(root, run)
    if not folder.is_dir():
        raise RequestError(f"There is no run {run} in {root}")
    (folder / CANCEL).touch()


@dataclass(slots=True)
class Progress:
    """Of one method of a run."""

    folder: Path
    told: TrainingRun
    keep: Keep
    now: Callable[[], datetime]
    stopped: Callable[[], bool] = field(default=lambda: False)

    def point(self, steps: float, cost: float, captured_pct: float, share: float,
              words: str = "") -> None:
        """Costs a day on the days that only choose between policies [currency]."""
        one = self.told
        self.told = replace(
            one, share=share, words=words, curve_steps=(*one.curve_steps, steps)[-MOST_POINTS:],
            curve_cost=(*one.curve_cost, cost)[-MOST_POINTS:],
            curve_captured_pct=(*one.curve_captured_pct, captured_pct)[-MOST_POINTS:])
        self._tell({"steps": steps, "cost": cost, "captured_pct": captured_pct})

    def say(self, share: float, words: str) -> None:
        self.told = replace(self.told, share=share, words=words)
        self._tell({})

    def end(self, words: str) -> None:
        self.told = replace(self.told, ended_at=self.now(), words=words)
        self._tell({"ended": True})

    @property
    def cancelled(self) -> bool:
        return self.stopped() or (self.folder / CANCEL).exists()

    def _tell(self, more: dict[str, object]) -> None:
        now = self.now()
        self.told = replace(self.told, told_at=now)
        line = {"at": now.isoformat(), "run": self.told.run, "method": self.told.method,
                "share": round(self.told.share, 4), "words": self.told.words, **more}
        with (self.folder / LINES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.keep(self.told)
