"""WHIP (RFC 9725): publishers who send by WebRTC, from browsers and encoders.

For `edge.ingest.service`, which gives it a Gate. A session hands the same events on as an RTMP connection:
FLV tag bodies. What must never happen: that a datagram of a stranger reaches DTLS, that a session takes a
channel over before its media can flow, or that one session's trouble touches another.
"""
