"""What viewers get, over all broadcasts of the node."""

from appliance.runtime.metrics import counter, histogram
from edge.origin.quality.beacon import Beacon

STARTUP = histogram(
    "nearcast_quality_startup_seconds",
    "From the wish to watch to the first picture.",
    (0.25, 0.5, 1, 1.5, 2, 3, 5, 8, 13, 30),
    ["player"],
)
LATENCY = histogram(
    "nearcast_quality_latency_seconds",
    "How far viewers are behind the broadcast.",
    (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 20, 30, 60),
    ["player"],
)
PLAYED = counter("nearcast_quality_played_seconds_total", "Time that viewers watched.", ["player"])
STALLS = counter("nearcast_quality_stalls_total", "Times that a picture stood still.", ["player"])
STALLED = counter("nearcast_quality_stalled_seconds_total", "Time that pictures stood still.", ["player"])
ERRORS = counter("nearcast_quality_player_errors_total", "Errors that players told.", ["kind"])
DROPPED = counter("nearcast_quality_batches_dropped_total", "Batches that did not fit the queue to the log.")


def observe(beacon: Beacon, *, started: bool) -> None:
    """One report; `started` when it is the first to tell the start-up of its session."""
    player = beacon.kind
    PLAYED.labels(player).inc(beacon.played_ms / 1000)
    if started and beacon.startup_ms is not None:
        STARTUP.labels(player).observe(beacon.startup_ms / 1000)
    if beacon.latency_ms is not None:
        LATENCY.labels(player).observe(beacon.latency_ms / 1000)
    if beacon.stalls:
        STALLS.labels(player).inc(beacon.stalls)
    if beacon.stall_ms:
        STALLED.labels(player).inc(beacon.stalled_ms / 1000)
    for error in beacon.errors:
        ERRORS.labels(error.kind).inc()
