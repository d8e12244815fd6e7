"""Secrets that the origins of a site share: in the bucket that never leaves it, made by whoever needs one first."""

import contextlib
import os

from appliance.contracts.errors import ConflictError
from appliance.runtime.bus import Bucket

BYTES = 32


async def site_secret(bucket: Bucket, key: str) -> bytes:
    """32 random bytes, the same for everybody who asks for `key`. UnavailableError."""
    entry = await bucket.get(key)
    while entry is None:
        with contextlib.suppress(ConflictError):  # another one was faster
            await bucket.create(key, os.urandom(BYTES))
        entry = await bucket.get(key)
    return entry.value
