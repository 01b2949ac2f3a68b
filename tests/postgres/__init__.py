"""PostgreSQL as a store: its own rules beside the contracts of `tests/contracts`."""
