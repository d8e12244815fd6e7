"""What operators see of WHEP."""

from appliance.runtime.metrics import counter, gauge, histogram

VIEWERS = gauge("nearcast_whep_viewers", "WebRTC viewers, connecting ones included.")
BROADCASTS = gauge("nearcast_whep_broadcasts", "Broadcasts that WebRTC viewers watch.")
REQUESTS = counter("nearcast_whep_requests_total", "WHEP requests, by status.", ["status"])
ENDED = counter("nearcast_whep_ended_total", "WebRTC viewers that ended, by reason.", ["code"])
CONNECT = histogram(
    "nearcast_whep_connect_seconds",
    "From the offer to media that can flow.",
    (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0),
)
PACKETS = counter("nearcast_whep_packets_total", "RTP packets sent to WebRTC viewers.")
BYTES = counter("nearcast_whep_sent_bytes_total", "Bytes of payload sent to WebRTC viewers.")
MISSED = counter("nearcast_whep_missed_packets_total", "RTP packets that viewers asked for again.")
REPEATED = counter("nearcast_whep_repeated_packets_total", "RTP packets sent again.")
KEYS = counter("nearcast_whep_keys_wanted_total", "Pictures that viewers could not decode.")
SWITCHES = counter("nearcast_whep_switches_total", "Changes of rendition, by direction.", ["direction"])
DROPPED = counter("nearcast_whep_dropped_total", "Things that were left out, by kind.", ["kind"])
DTLS_FAILURES = counter("nearcast_whep_dtls_failures_total", "DTLS handshakes that failed.")
