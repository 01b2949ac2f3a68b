"""The parts of the Energy Monitor."""
