"""A device that is restored from an old image: its numbers are behind those that the centre has,
and what the centre had under them is forgotten."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.test_two_devices import Centre, Device, centre  # noqa: F401

OLD_ROWS, LATER_ROWS = 10, 50


@pytest.fixture
def restored(centre: Centre, tmp_path: Path) -> Iterator[Device]:  # noqa: F811
    """As it stood after OLD_ROWS, of which some wait; its later life is over, and is forgotten but
    for the last row."""
    device = Device(tmp_path, "pack", 60.0)
    centre.lives(OLD_ROWS, device)
    for _ in range(3):
        device.measures(centre.now_s)
    for ending in ("", "-wal"):
        shutil.copy(tmp_path / f"pack.db{ending}", tmp_path / f"image.db{ending}")
    centre.lives(LATER_ROWS, device)
    device.outbox.close()
    found = Device(tmp_path, "image", 10.0)
    yield found
    found.outbox.close()


@pytest.mark.parametrize("kept", [0, 1, LATER_ROWS])
def test_what_it_measures_is_stored_once_and_leaves_its_outbox(
        centre: Centre, restored: Device, kept: int) -> None:  # noqa: F811
    """Also where the centre holds nothing of it any more."""
    while centre.store.forget(round(1e6 * (centre.now_s - kept + 0.5))):
        pass
    centre.lives(20, restored)
    assert "sequence_backwards" in centre.refused, "it is counted and named"
    assert (centre.stored(restored), restored.waiting) == (restored.made, 0)
    mark = centre.store.mark("home", "pack_1")
    assert mark is not None
    assert restored.outbox.life("pack_1").high == mark.high
