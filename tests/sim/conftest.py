"""A broker for the simulated Venus."""

from __future__ import annotations

from tests.sources.conftest import broker

__all__ = ["broker"]
