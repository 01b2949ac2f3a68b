"""Colours for values: ten steps from low to high, apart for every kind of colour blindness. They
are those of the viewer (`components/spheres/frontend/src/ramps.ts`)."""

from __future__ import annotations

from collections.abc import Mapping

Ramp = tuple[str, ...]
Themed = Mapping[str, Ramp]


def _themed(dark: str, light: str) -> Themed:
    return {"dark": tuple(f"#{step}" for step in dark.split()),
            "light": tuple(f"#{step}" for step in light.split())}


# Blue to orange; the middle fades to the surface, so that what is healthy vanishes.
DIVERGING = _themed("5cb3ef 4d8dbc 3e688c 365068 2f3c4a 3c3b3a 5f4d32 866328 b8862f edab35",
                    "0067a5 4989ba 7aabcf a7c6dd d2dfe9 e6dfd6 e1c7a5 d6aa73 bd8246 a35a0c")
SEQUENTIAL = _themed("27313b 30454f 375963 3f6f78 508589 629c9a 74b3ac 94c7be b4dbd0 d3f0e2",
                     "dde6e6 c7dbd9 b2cfcd 9cc4c0 82b0ae 689d9c 4d8a8a 3a7174 28595f 16424a")
# Without red, which is an alarm's alone.
HEAT = _themed("2b2a4a 40385e 564673 6d5488 896689 a67888 c48a86 d5a693 e6c2a1 f7dfae",
               "efe6d2 e8d1bb e0bca5 d8a78f bf8f8d a7778a 8f5f86 6f4d78 503a69 33285a")
SEED = _themed("8f2020 97391f 9b521f 99691f 908022 819122 6ba52c 54b93a 42d54a 37f05a",
               "c01818 bd3a14 b65512 aa6c12 998012 848f14 6b8f19 4d8a1e 2f8322 0b7a25")
GREYS = _themed("2b323b 3b434d 4c555f 5e6772 717a85 848d98 99a1ab afb6be c6ccd2 e0e4e8",
                "e3e6ea cdd2d8 b7bdc5 a1a9b2 8c949e 77808b 636c77 505964 3d4651 2b333d")


def ramp(by: str, kind: str, palette: str, theme: str) -> Ramp:
    """by, kind: of the colouring. palette: "safe", "seed", or "grey" for greys alone."""
    if palette == "grey":
        return GREYS[theme]
    if kind == "diverging":
        return DIVERGING[theme]
    if by.startswith("temperature"):
        return HEAT[theme]
    return SEED[theme] if palette == "seed" else SEQUENTIAL[theme]
