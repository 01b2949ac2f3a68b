"""Streamlit's AppTest, less what it does anew for each app."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _installed_once(installed_once: None) -> None:
    """For all files here."""
