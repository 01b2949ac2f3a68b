"""The parts of the page about alarms: what is open, what people do about it, what was."""
