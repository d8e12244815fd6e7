"""One header off the front of a connection (haproxy.org, proxy-protocol.txt, sections 2.1 and 2.2)."""

import ipaddress
from typing import NamedTuple

from appliance.contracts.errors import BadInputError

_TEXT = b"PROXY "
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LONGEST_TEXT = 107
_FIXED = 16
_MAX_BODY = 1024  # addresses and TLVs
LONGEST = _FIXED + _MAX_BODY
_VERSION = 0x20
_LOCAL, _PROXY = 0x0, 0x1
_INET, _INET6 = 0x1, 0x2


class ProxyError(BadInputError):
    """The bytes begin like a PROXY header and are none."""

    code = "proxy_header"


class ProxyHeader(NamedTuple):
    """`size` bytes to skip; `address` of the client, "" when the balancer speaks for itself."""

    size: int
    address: str


def parse_header(data: bytes) -> ProxyHeader | None:
    """The header at the front of `data`; size 0 when there is none, None while it is not complete."""
    if data.startswith(_SIGNATURE):
        return _binary(data)
    if data.startswith(_TEXT):
        return _text(data)
    if _SIGNATURE.startswith(data) or _TEXT.startswith(data):
        return None
    return ProxyHeader(0, "")


def _text(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _LONGEST_TEXT)
    if end < 0:
        if len(data) >= _LONGEST_TEXT:
            raise ProxyError("the PROXY line is too long")
        return None
    words = data[:end].decode("ascii", "replace").split(" ")
    if words[1] == "UNKNOWN":
        return ProxyHeader(end + 2, "")
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ProxyError("the PROXY line is malformed")
    try:
        source = ipaddress.ip_address(words[2])
    except ValueError:
        raise ProxyError("the PROXY line has no address") from None
    if source.version != int(words[1][3]):
        raise ProxyError("the PROXY line mixes address families")
    return ProxyHeader(end + 2, str(source))


def _binary(data: bytes) -> ProxyHeader | None:
    if len(data) < _FIXED:
        return None
    version, command = data[12] & 0xF0, data[12] & 0x0F
    length = int.from_bytes(data[14:16], "big")
    if version != _VERSION or command not in (_LOCAL, _PROXY):
        raise ProxyError("the PROXY header has an unknown version or command")
    if length > _MAX_BODY:
        raise ProxyError("the PROXY header is too long")
    if len(data) < _FIXED + length:
        return None
    if command == _LOCAL:
        return ProxyHeader(_FIXED + length, "")
    width = {_INET: 4, _INET6: 16}.get(data[13] >> 4, 0)
    if not width:  # a unix socket, or not said
        return ProxyHeader(_FIXED + length, "")
    if length < 2 * width + 4:
        raise ProxyError("the PROXY header is cut off")
    return ProxyHeader(_FIXED + length, str(ipaddress.ip_address(data[_FIXED : _FIXED + width])))
