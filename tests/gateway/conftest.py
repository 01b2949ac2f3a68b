"""One gateway for all tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.site import Served, served


@pytest.fixture(scope="package")
def gateway() -> Iterator[Served]:
    with served() as running:
        yield running
