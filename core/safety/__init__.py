"""What keeps a pack safe: limits, delays, derating, the state machine, the ladder (law 8).

`core.safety.monitor.SafetyMonitor.decide` is the way in for an edge device; `core.safety.ladder`
for whoever stands above it; `core.safety.plant` for who simulates a pack.
"""
