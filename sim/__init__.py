"""Simulated sources: they import `core` alone and are marked as simulated wherever shown."""
