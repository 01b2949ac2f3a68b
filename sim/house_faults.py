"""What can go wrong in a simulated house: a fixed list, started and stopped by name."""

from __future__ import annotations

import threading

from core.errors import UnknownIdError

SOC_COLLAPSE = "soc_collapse"
INVERTED_SIGN = "inverted_sign"
SHUNT_NEVER_SYNCHRONISES = "shunt_never_synchronises"
INVERTER_SILENT = "inverter_silent"
NAMES = (INVERTED_SIGN, INVERTER_SILENT, SHUNT_NEVER_SYNCHRONISES, SOC_COLLAPSE)

COLLAPSE_S = 1800.0
COLLAPSED_PCT = 11.0
REST_C_RATE = 1 / 140
"""What the battery may do during a collapse: 0.1 kW of 14.3 kWh, 1 Ah in half an hour."""


def collapsed_pct(began_pct: float, since_s: float) -> float:
    """The shunt's charge [%] in a collapse that began at `began_pct`, `since_s` ago [s]: down
    to 11 % within 30 minutes as in venus #1668, fastest at first."""
    left = 1.0 - min(max(since_s / COLLAPSE_S, 0.0), 1.0)
    return min(began_pct, COLLAPSED_PCT + (began_pct - COLLAPSED_PCT) * left * left)


class HouseFaults:
    """Which faults run; started and stopped by any thread while another one polls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began_s: dict[str, float] = {}

    def start(self, name: str, now_s: float) -> None:
        """Start one, anew where it runs already; raises UnknownIdError."""
        if name not in NAMES:
            raise UnknownIdError(f"no fault script is called {name[:80]!r}; "
                                 f"there are {', '.join(NAMES)}")
        with self._lock:
            self._began_s = {**self._began_s, name: now_s}

    def stop(self) -> None:
        with self._lock:
            self._began_s = {}

    def began_s(self) -> dict[str, float]:
        """When each running one began (seconds since 1970); not to be written to."""
        return self._began_s
