"""Idempotency-Key: the same key with the same request gives the same answer for a day.

The answer may hold a secret that is shown once, so it is kept sealed (XSalsa20-Poly1305) with a key derived
from the caller's token, which nobody here stores: who reads the table learns nothing.
"""

import hashlib
import re
from dataclasses import dataclass

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from appliance.contracts.errors import BadInputError, ConflictError
from coordinator.api import store
from coordinator.unit import Unit

_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
_PERSON = b"nearcast-idem-1"
LEASE_S = 10.0  # several times as long as an edge is waited for
_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a request that carries a key."""

    token_id: str
    token: str
    key: str
    request_hash: str

    def box(self) -> SecretBox:
        return SecretBox(hashlib.blake2b(self.token.encode(), digest_size=32, person=_PERSON).digest())


@dataclass(frozen=True, slots=True)
class Remembered:
    """The answer given before."""

    status: int
    body: bytes


def attempt(token_id: str, token: str, key: str, method: str, path: str, body: bytes) -> Attempt:
    """BadInputError when the key is not 1 to 255 visible ASCII characters."""
    if _KEY.match(key) is None:
        raise BadInputError("Idempotency-Key has 1 to 255 visible ASCII characters", code="invalid_idempotency_key")
    digest = hashlib.sha256(b"\x00".join((method.encode(), path.encode(), body))).hexdigest()
    return Attempt(token_id, token, key, digest)


async def claim(unit: Unit, tried: Attempt) -> Remembered | None:
    """None: go on, it is the first time. ConflictError: another request used the key, or is under way.

    One that has been under way for LEASE_S was left by a process that died. Whether its effect came about nobody
    here knows: whoever has it done again passes the key on, by which the edge knows it.
    """
    if await store.claim(unit.connection, tried.token_id, tried.key, tried.request_hash, LEASE_S):
        return None
    row = await store.find(unit.connection, tried.token_id, tried.key)
    if row is None or row.request_hash != tried.request_hash:
        raise ConflictError("that Idempotency-Key was used for a different request", code="idempotency_key_reused")
    if row.status is None or row.response is None:
        detail = "the first request with that Idempotency-Key is under way"
        raise ConflictError(detail, code="in_progress", retry_after_s=_RETRY_S)
    try:
        return Remembered(row.status, tried.box().decrypt(row.response))
    except CryptoError as error:
        raise ConflictError("the first answer cannot be read any more", code="idempotency_lost") from error


async def record(unit: Unit, tried: Attempt, status: int, body: bytes) -> None:
    """Keeps the answer for the next try."""
    sealed = bytes(tried.box().encrypt(body))
    await store.record(unit.connection, tried.token_id, tried.key, status, sealed)


async def release(unit: Unit, tried: Attempt) -> None:
    """The request was refused: the next try may run."""
    await store.release(unit.connection, tried.token_id, tried.key)
