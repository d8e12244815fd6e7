"""Identifiers: UUID version 7 (RFC 9562, 5.7), so that ids sort by the time they were made."""

import uuid


def uuid7(now_ms: int, randomness: bytes) -> str:
    """The UUIDv7 of a Unix time in milliseconds and 10 random bytes, in its 36 character form."""
    if not 0 <= now_ms < 1 << 48 or len(randomness) != 10:
        raise ValueError("a UUIDv7 takes 48 bits of milliseconds and 10 random bytes")
    rand_a = int.from_bytes(randomness[:2], "big") & 0xFFF
    rand_b = int.from_bytes(randomness[2:], "big") & ((1 << 62) - 1)
    return str(uuid.UUID(int=now_ms << 80 | 7 << 76 | rand_a << 64 | 2 << 62 | rand_b))


def unix_ms(identifier: str) -> int:
    """When a UUIDv7 was made, in Unix milliseconds. ValueError when it is not a UUIDv7."""
    value = uuid.UUID(identifier)
    if value.version != 7:
        raise ValueError("not a UUIDv7")
    return value.int >> 80


def is_uuid7(text: str) -> bool:
    """Whether `text` is a UUIDv7 in its canonical lower-case form."""
    try:
        value = uuid.UUID(text)
    except ValueError:
        return False
    return value.version == 7 and str(value) == text
