"""What is taken of a pack where nobody says better, each number in this one place: for whoever
plans with packs, judges a day of them, or steers one alone."""

FLOOR, CEILING = 0.11, 0.89
"""Charge to stay within, parts of capacity: a point inside of where devices begin to derate for it
(core/profiles/safety.yaml)."""
EFFICIENCY = 0.985
"""Of each way, at the pack's terminals: 97 % of what went in comes out again, as of lithium cells
at a third of their capacity an hour."""
MOST_C, MOST_A = 1.0, 100.0
"""Of capacity an hour, and of current: the fleet's own outermost limits."""
RAMP_S = 30.0
"""From rest to the rated power: slow enough for a grid connection to follow, far faster than a
plan's step [s]."""
HEADROOM = 0.85
"""Of what a device allows: at 0.9 of its current it tells that it is worked hard."""
