"""A line without axes, as a CSS mask: `st.html` strips <svg>, but keeps style and mask."""

from __future__ import annotations

from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike, NDArray

_WIDTH, _HEIGHT, _EDGE = 100.0, 30.0, 3.0
_MOST_POINTS = 120


def sparkline(values: ArrayLike, hue: str = "text2") -> str:
    """HTML of a line over `values` (oldest first, evenly spaced; NaN is a gap) with its last
    point in the colour token `hue`; "" when nothing is known."""
    known = thinned(np.asarray(values, dtype=np.float64))
    if not np.isfinite(known).any():
        return ""
    x, y = _points(known)
    mask = quote(_svg(x, y), safe=" =/:,.-")
    line = f"<i style='--m:url(\"data:image/svg+xml,{mask}\")'></i>"
    return f'<div class="o-sp" style="--c:var(--o-{hue})">{line}{_dot(x[-1], y[-1])}</div>'


def thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most `_MOST_POINTS` values; lowest and highest of each stretch stay, in turn."""
    if values.size <= _MOST_POINTS:
        return values
    parts = np.array_split(values, _MOST_POINTS // 2)
    kept: list[float] = []
    for part in parts:
        kept.extend(_extremes(part))
    kept[-1] = float(values[-1])
    return np.array(kept)


def _extremes(part: NDArray[np.float64]) -> tuple[float, float]:
    if not np.isfinite(part).any():
        return float("nan"), float("nan")
    low, high = int(np.nanargmin(part)), int(np.nanargmax(part))
    first, last = min(low, high), max(low, high)
    return float(part[first]), float(part[last])


def _points(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places in the box [% of its width, px]; a flat line lies in the middle."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    share = (values - low) / (high - low) if high > low else np.where(
        np.isfinite(values), 0.5, np.nan)
    x = np.linspace(0.0, _WIDTH, values.size) if values.size > 1 else np.array([_WIDTH])
    return x, _HEIGHT - _EDGE - share * (_HEIGHT - 2 * _EDGE)


def _svg(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    path, pen = [], "M"
    for at, height in zip(x, y, strict=True):
        if np.isfinite(height):
            path.append(f"{pen}{at:.1f},{height:.1f}")
            pen = "L"
        else:
            pen = "M"
    return (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH:g} {_HEIGHT:g}' "
            f"preserveAspectRatio='none'><path d='{''.join(path)}' fill='none' stroke='#000' "
            f"stroke-width='1.5' stroke-linejoin='round' vector-effect='non-scaling-stroke'/>"
            f"</svg>")


def _dot(x: float, y: float) -> str:
    """The newest point; none where the newest value is missing."""
    if not np.isfinite(y):
        return ""
    return f'<u style="left:{x:.1f}%;top:{y:.1f}px"></u>'
