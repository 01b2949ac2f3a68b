"""One empty schema a test, and the variable that tells its URL."""

from __future__ import annotations

import pytest

from bench._postgres import PostgresServer

VARIABLE = "ORRERY_TEST_DATABASE"


@pytest.fixture
def variable(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """NAME of the environment variable that holds the URL of an empty schema."""
    monkeypatch.setenv(VARIABLE, postgres.new_schema())
    return VARIABLE
