"""The parts of the heat pump's page."""
