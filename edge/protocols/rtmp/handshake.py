"""The handshake of a server (RTMP 1.0, 5.2), and the digest form that Flash-era encoders send.

C2 is not verified: common encoders echo the wrong bytes. The bytes of S1 need not be secret.
"""

import hashlib
import hmac

from appliance.contracts.errors import BadInputError

VERSION = 3
SIZE = 1536
_ENCRYPTED_VERSIONS = frozenset({6, 8, 9})
_TLS_HANDSHAKE = 0x16
_HTTP = (b"GET ", b"POST", b"HEAD", b"OPTI", b"PUT ", b"CONN")
_DIGEST = 32
_SALT = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")
_SERVER = b"Genuine Adobe Flash Media Server 001"
_PLAYER = b"Genuine Adobe Flash Player 001"
_SCHEMES = (8, 772)  # where the four bytes that give the digest's place are


class HandshakeError(BadInputError):
    """The peer does not speak RTMP. `code` says what it speaks."""

    code = "not_rtmp"


class ServerHandshake:
    """Feed bytes; `reply` is to be sent; `rest` is what follows the handshake once `done`."""

    def __init__(self) -> None:
        self.done = False
        self.with_digest = False
        self.rest = b""
        self._buffer = bytearray()
        self._answered = False

    def feed(self, data: bytes) -> bytes:
        """Takes bytes and returns the reply to send. HandshakeError when this is not RTMP."""
        self._buffer += data
        reply = b""
        if not self._answered:
            _recognise(self._buffer)
            if len(self._buffer) <= SIZE:
                return b""
            reply = self._answer(bytes(self._buffer[1 : 1 + SIZE]))
            del self._buffer[: 1 + SIZE]
            self._answered = True
        if len(self._buffer) >= SIZE:
            self.rest = bytes(self._buffer[SIZE:])
            self._buffer.clear()
            self.done = True
        return reply

    @property
    def empty(self) -> bool:
        """Whether nothing has been received: a probe of a load balancer, not an error."""
        return not self._answered and not self._buffer

    def _answer(self, c1: bytes) -> bytes:
        digest = find_digest(c1, _PLAYER) if c1[4:8] != bytes(4) else None
        filler = hashlib.shake_128(c1).digest(SIZE)
        if digest is None:
            return bytes([VERSION]) + c1[:4] + bytes(4) + filler[8:] + c1
        self.with_digest = True
        place, value = digest
        scheme = _SCHEMES[0] if place < _SCHEMES[1] else _SCHEMES[1]
        s1 = _with_digest(c1[:4] + b"\x04\x05\x00\x01" + filler[8:], scheme, _SERVER)
        key = hmac.digest(_SERVER + _SALT, value, "sha256")
        s2 = filler[:-_DIGEST]
        return bytes([VERSION]) + s1 + s2 + hmac.digest(key, s2, "sha256")


def _recognise(buffer: bytearray) -> None:
    """Says what the peer speaks as early as possible."""
    first = buffer[0] if buffer else VERSION
    if first == VERSION:
        return
    if first in _ENCRYPTED_VERSIONS:
        raise HandshakeError("encrypted RTMPE is not supported; use RTMPS", code="rtmpe")
    if first == _TLS_HANDSHAKE:
        raise HandshakeError("this port takes RTMP without TLS; RTMPS has a port of its own", code="tls")
    if any(bytes(buffer[:4]) == word[: len(buffer)] for word in _HTTP):
        raise HandshakeError("this is not a web server port", code="http")
    raise HandshakeError("the first byte is no RTMP version")


def _digest_place(block: bytes, scheme: int) -> int:
    return sum(block[scheme : scheme + 4]) % 728 + scheme + 4


def _digest_of(block: bytes, place: int, key: bytes) -> bytes:
    return hmac.digest(key, block[:place] + block[place + _DIGEST :], "sha256")


def find_digest(block: bytes, key: bytes) -> tuple[int, bytes] | None:
    """Place and value of the digest in a 1536 byte block; None when there is none."""
    for scheme in _SCHEMES:
        place = _digest_place(block, scheme)
        value = block[place : place + _DIGEST]
        if hmac.compare_digest(value, _digest_of(block, place, key)):
            return place, value
    return None


def _with_digest(block: bytes, scheme: int, key: bytes) -> bytes:
    place = _digest_place(block, scheme)
    return block[:place] + _digest_of(block, place, key) + block[place + _DIGEST :]
