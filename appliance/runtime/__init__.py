"""What every role runs on: settings, life cycle, bus, counters, logs, metrics.

Drivers live here and nowhere else; their errors are mapped once, at this boundary, to the typed tree in
`appliance.contracts.errors`. Knows no role.
"""
