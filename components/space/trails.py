"""Where the shown items were during the last minutes, as the viewer's second table."""

from __future__ import annotations

import logging

import pyarrow as pa

from components.api_client import Client
from core.errors import OrreryError
from core.topology import IndexArray

log = logging.getLogger(__name__)


def table(client: Client, nodes: IndexArray, metric: str) -> pa.Table | None:
    """The columns that `orrery_spheres.TRAILS` documents, of the nodes in the order of the items'
    table, before the present or the moment that is shown. None without a metric, and where
    history cannot be read: the trends below say why."""
    if not metric:
        return None
    try:
        found = client.trail(nodes, metric, client.now())
    except OrreryError as error:
        log.info("no trails: %s", error)
        return None
    return pa.table({"row": found.row, "age_s": found.age_s, "value": found.value})
