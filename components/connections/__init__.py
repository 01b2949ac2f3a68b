"""The parts of the page about sources: which are heard, what they say, how fast they answer."""
