"""The box syntax of ISO/IEC 14496-12, 4.2."""

import struct


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of a four-character type around its parts."""
    payload = b"".join(parts)
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box with version (8 bits) and flags (24 bits)."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)
