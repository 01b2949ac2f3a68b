"""Tools for contributors; see scripts/README.md."""
