"""STUN as an ICE-lite agent needs it: connectivity checks in, their answers out (RFC 8489, RFC 8445)."""

import hashlib
import hmac
import ipaddress
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

_MAGIC = 0x2112A442
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_BINDING_REQUEST, _BINDING_SUCCESS, _BINDING_ERROR = 0x0001, 0x0101, 0x0111
_USERNAME, _INTEGRITY, _ERROR_CODE, _XOR_MAPPED = 0x0006, 0x0008, 0x0009, 0x0020
_PRIORITY, _USE_CANDIDATE, _FINGERPRINT, _CONTROLLED = 0x0024, 0x0025, 0x8028, 0x8029
_INTEGRITY_SIZE = 24
_FINGERPRINT_XOR = 0x5354554E


class BindingRequest(NamedTuple):
    """An authenticated connectivity check."""

    transaction: bytes  # 12 bytes
    priority: int
    nominates: bool
    controlled: bool  # the peer says that it has our role


def is_stun(datagram: bytes) -> bool:
    """Whether a datagram is STUN and not DTLS or RTP (RFC 7983, 7)."""
    return len(datagram) >= 20 and datagram[0] < 4 and datagram[4:8] == b"\x21\x12\xa4\x42"


def _attributes(datagram: bytes) -> Iterator[tuple[int, int, int]]:
    """(type, start of value, size) of each attribute that lies inside the datagram."""
    at = _HEADER.size
    while at + 4 <= len(datagram):
        kind, size = _ATTRIBUTE.unpack_from(datagram, at)
        at += 4
        if at + size > len(datagram):
            return
        yield kind, at, size
        at += (size + 3) & ~3


def local_fragment(datagram: bytes) -> str:
    """Our half of a binding request's USERNAME, which names the session; empty when it is none."""
    if not is_stun(datagram) or datagram[0] << 8 | datagram[1] != _BINDING_REQUEST:
        return ""
    for kind, at, size in _attributes(datagram):
        if kind == _USERNAME:
            return datagram[at : at + size].partition(b":")[0].decode("latin-1")
    return ""


def authenticate(datagram: bytes, password: bytes) -> BindingRequest | None:
    """The check, None when it is damaged or its MESSAGE-INTEGRITY is not made with `password`."""
    if not is_stun(datagram):
        return None
    _, length, _, transaction = _HEADER.unpack_from(datagram)
    if length != len(datagram) - _HEADER.size:
        return None
    priority, nominates, controlled = 0, False, False
    for kind, at, size in _attributes(datagram):
        if kind == _INTEGRITY and size == 20:
            # what comes behind this attribute is not authenticated and not looked at
            if not _is_intact(datagram, at, password):
                return None
            return BindingRequest(transaction, priority, nominates, controlled)
        if kind == _PRIORITY and size == 4:
            priority = int.from_bytes(datagram[at : at + 4], "big")
        nominates = nominates or kind == _USE_CANDIDATE
        controlled = controlled or kind == _CONTROLLED
    return None


def _is_intact(datagram: bytes, at: int, password: bytes) -> bool:
    """RFC 8489, 14.5: the length field counts as if the message ended with this attribute."""
    covered = datagram[:2] + (at + 20 - _HEADER.size).to_bytes(2, "big") + datagram[4 : at - 4]
    return hmac.compare_digest(hmac.digest(password, covered, hashlib.sha1), datagram[at : at + 20])


def success(transaction: bytes, address: tuple[str, int], password: bytes) -> bytes:
    """A binding success response that tells the peer its address."""
    return _sealed(_BINDING_SUCCESS, transaction, _xor_mapped(transaction, *address), password)


def role_conflict(transaction: bytes, password: bytes) -> bytes:
    """Error 487: an ICE-lite agent is always the controlled one (RFC 8445, 7.3.1.1)."""
    reason = b"Role Conflict"
    value = struct.pack("!HBB", 0, 4, 87) + reason
    padding = b"\0" * (-len(value) % 4)
    return _sealed(
        _BINDING_ERROR, transaction, _ATTRIBUTE.pack(_ERROR_CODE, len(value)) + value + padding, password
    )


def _xor_mapped(transaction: bytes, host: str, port: int) -> bytes:
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    mask = int.from_bytes(_MAGIC.to_bytes(4, "big") + transaction, "big")
    size = len(address.packed)
    hidden = int(address) ^ (mask if size == 16 else _MAGIC)
    family = 2 if size == 16 else 1
    value = struct.pack("!BBH", 0, family, port ^ (_MAGIC >> 16)) + hidden.to_bytes(size, "big")
    return _ATTRIBUTE.pack(_XOR_MAPPED, len(value)) + value


def _sealed(kind: int, transaction: bytes, body: bytes, password: bytes) -> bytes:
    """The message with MESSAGE-INTEGRITY and FINGERPRINT behind `body`."""
    covered = _HEADER.pack(kind, len(body) + _INTEGRITY_SIZE, _MAGIC, transaction) + body
    seal = _ATTRIBUTE.pack(_INTEGRITY, 20) + hmac.digest(password, covered, hashlib.sha1)
    whole = _HEADER.pack(kind, len(body) + _INTEGRITY_SIZE + 8, _MAGIC, transaction) + body + seal
    return whole + struct.pack("!HHI", _FINGERPRINT, 4, zlib.crc32(whole) ^ _FINGERPRINT_XOR)
