"""From where a request comes."""

import ipaddress

from edge.protocols.http.headers import Headers

_LOOPBACK = ("127.0.0.1", "::1")
_MOST = 200
_ROUTED = 64  # bits of an IPv6 address that one customer has to himself


def client_address(address: str, headers: Headers) -> str:
    """The client's address; a front on this machine says for whom it asks."""
    if address in _LOOPBACK:
        return headers.get("x-forwarded-for")[:_MOST] or address
    return address


def limited_address(address: str, headers: Headers) -> str:
    """What limits count by: the nearest address that nobody can invent, of IPv6 its network."""
    if address in _LOOPBACK:
        address = headers.get("x-forwarded-for").rpartition(",")[2].strip()[:_MOST] or address
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address, _ROUTED), strict=False))
    except ValueError:
        return address
