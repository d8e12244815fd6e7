"""What operators see of WHIP."""

from appliance.runtime.metrics import counter, gauge, histogram

SESSIONS = gauge("nearcast_ingest_whip_sessions", "WebRTC publishers, connecting ones included.")
REQUESTS = counter("nearcast_ingest_whip_requests_total", "WHIP requests, by status.", ["status"])
ENDED = counter("nearcast_ingest_whip_ended_total", "WebRTC publishers that ended, by reason.", ["code"])
CONNECT = histogram(
    "nearcast_ingest_whip_connect_seconds",
    "From the offer to media that can flow.",
    (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0),
)
PACKETS = counter("nearcast_ingest_whip_packets_total", "RTP packets of WebRTC publishers.")
BYTES = counter("nearcast_ingest_whip_received_bytes_total", "Bytes of WebRTC publishers.")
LOST = counter("nearcast_ingest_whip_lost_packets_total", "RTP packets given up as lost.")
NACKS = counter("nearcast_ingest_whip_nacks_total", "RTP packets asked for again.")
PLIS = counter("nearcast_ingest_whip_plis_total", "Key frames asked for.")
DAMAGED = counter("nearcast_ingest_whip_damaged_frames_total", "Frames left out because packets were missing.")
BAD = counter("nearcast_ingest_whip_bad_packets_total", "Packets that could not be used, by kind.", ["kind"])
DTLS_FAILURES = counter("nearcast_ingest_whip_dtls_failures_total", "DTLS handshakes that failed.")
TIMEOUTS = counter("nearcast_ingest_whip_timeouts_total", "Publishers that never connected, by stage.", ["stage"])
DROPPED = counter("nearcast_ingest_whip_dropped_frames_total", "Frames dropped because the media log is behind.")
