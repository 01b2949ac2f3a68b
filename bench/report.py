"""The form of a figure: one JSON line each on stdout, one table for people on stderr."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields

BETTER = ("lower", "higher")


class FigureError(ValueError):
    """A bench yielded something that is not a figure; the text says which part and why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. target: what the issue asks, None where it asks nothing.

    unit: as printed beside the number, "" for a bare count. better: "lower" or "higher".
    """

    bench: str
    case: str
    metric: str
    value: float
    unit: str
    target: float | None
    better: str

    @classmethod
    def of(cls, line: Mapping[str, object]) -> Figure:
        """Check a line that a bench yielded: its keys, their types, finite numbers."""
        names = [field.name for field in fields(cls)]
        if list(line) != names:
            raise FigureError(f"the keys of a figure are {names}, in that order; got {list(line)}")
        texts = {name: line[name] for name in ("bench", "case", "metric", "unit", "better")}
        for name, text in texts.items():
            if not isinstance(text, str) or (not text and name != "unit"):
                raise FigureError(f"{name} of {dict(line)} is not a text")
        if texts["better"] not in BETTER:
            raise FigureError(f"better of {dict(line)} is not one of {BETTER}")
        target = line["target"]
        return cls(value=number("value", line["value"]),
                   target=None if target is None else number("target", target),
                   **{name: str(text) for name, text in texts.items()})

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target

    def line(self) -> str:
        """The JSON line."""
        return json.dumps(asdict(self), allow_nan=False)


def figure_line(bench: str, case: str, metric: str, value: float, unit: str,
                target: float | None = None, better: str = "lower") -> dict[str, object]:
    """One line as a bench yields it; the value rounded to what a person reads."""
    return {"bench": bench, "case": case, "metric": metric, "value": round(value, 3),
            "unit": unit, "target": target, "better": better}


def number(name: str, value: object) -> float:
    """A finite int or float, else FigureError (law 4: a missing number is no figure)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise FigureError(f"{name} must be a finite number, got {value!r}")
    return value


def short_number(value: float) -> str:
    """About four figures, no exponent."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(figures: Iterable[Figure]) -> str:
    """Aligned columns: what, value, target, met or not."""
    verdicts = {None: "", True: "met", False: "NOT MET"}
    rows = [("bench", "case", "metric", "value", "target", "")]
    for figure in figures:
        sign = "<=" if figure.better == "lower" else ">="
        target = "" if figure.target is None else f"{sign} {short_number(figure.target)}"
        rows.append((figure.bench, figure.case, figure.metric,
                     f"{short_number(figure.value)} {figure.unit}".strip(), target,
                     verdicts[figure.met]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                     .rstrip() for row in rows)
