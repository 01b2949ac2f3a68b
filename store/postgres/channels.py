"""The devices' channels in PostgreSQL: the tree's engine, with minutes in packs."""

from __future__ import annotations

from collections.abc import Sequence

from core.clock import Clock
from store.channels import ArchivedChannels, each_once
from store.postgres.archive import PostgresArchive
from store.postgres.shape import CHANNELS


class PostgresChannelHistory(ArchivedChannels):
    """variable: NAME of the environment variable with the URL. budget_bytes: raw frames go first,
    then minutes, a partition at once [B]. Raises DatabaseHeldError, ConfigurationError,
    RetryLaterError, and ValueError for an id that occurs twice."""

    def __init__(self, variable: str, channel_ids: Sequence[str], *, budget_bytes: int,
                 clock: Clock | None = None) -> None:
        super().__init__(PostgresArchive(variable, each_once(channel_ids), CHANNELS,
                                         budget_bytes=budget_bytes, clock=clock))
