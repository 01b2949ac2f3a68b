"""Rows of the filter's columns and the grid of its tables, for both ways of its arithmetic."""

from __future__ import annotations

POINTS = 8192
"""Of one model's table."""
LOWEST, HIGHEST = -0.1, 1.1
"""Of the charge, and of the tables over it; one point is 0.015 % of charge."""
PER_SOC = (POINTS - 1) / (HIGHEST - LOWEST)
LOWEST_V, HIGHEST_V = 1.0, 5.0
"""Of the tables over voltage [V]."""
PER_V = (POINTS - 1) / (HIGHEST_V - LOWEST_V)
NEAR = 0.01
"""Charges so near to each other see one slope."""
MOST_OFF_V = 1.0
"""A voltage further off than this is a broken sensor [V]."""
SOC, RESISTANCE, LEAK = range(3)
"""Rows of the states."""
SS, SR, SL, RR, RL, LL = range(6)
"""Rows of their variances."""
