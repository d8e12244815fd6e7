"""An FLV file around tag bodies (Adobe Flash Video File Format Specification 10.1, annex E)."""

HEADER = b"FLV\x01\x05\x00\x00\x00\x09" + bytes(4)
AUDIO, VIDEO, SCRIPT = 8, 9, 18
_TAG_HEADER = 11


def file_tag(kind: int, timestamp: int, body: bytes) -> bytes:
    """A tag and the size that follows it. `timestamp` in milliseconds, modulo 2^32."""
    stamp = timestamp % (1 << 32)
    head = bytes([kind]) + len(body).to_bytes(3, "big") + (stamp & 0xFFFFFF).to_bytes(3, "big")
    head += bytes([stamp >> 24]) + bytes(3)
    return head + body + (_TAG_HEADER + len(body)).to_bytes(4, "big")
