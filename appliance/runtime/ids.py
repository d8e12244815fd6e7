"""Fresh identifiers and secrets."""

import os
import secrets

from appliance.contracts.ids import uuid7
from appliance.runtime.clock import now_ms

_READABLE = "abcdefghijkmnpqrstuvwxyz23456789"  # no letters that look alike: 5 bits a character


def new_id() -> str:
    """A UUIDv7 of this moment."""
    return uuid7(now_ms(), os.urandom(10))


def new_secret(prefix: str) -> str:
    """`prefix` and 160 random bits, in characters a person can read aloud."""
    return prefix + "".join(secrets.choice(_READABLE) for _ in range(32))
