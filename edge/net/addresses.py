"""The addresses of this machine that go into candidates."""

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

_SIOCGIFADDR = 0x8915
_INTERFACE_REQUEST = 40
_ANY = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def candidate_hosts(configured: Sequence[str], host: str) -> tuple[str, ...]:
    """Addresses as text: the configured ones (names are looked up), else the one that is
    listened on, else those of the interfaces."""
    if configured:
        return tuple(dict.fromkeys(address for name in configured for address in _look_up(name)))
    if host not in _ANY:
        return tuple(_look_up(host))
    found = _ipv4() + (_ipv6() if host == "::" else [])
    usable = [address for address in found if not ipaddress.ip_address(address).is_loopback]
    return tuple(dict.fromkeys(usable)) or ("127.0.0.1",)


def _look_up(name: str) -> Sequence[str]:
    """Browsers want addresses: some do not look names in candidates up."""
    try:
        return [str(ipaddress.ip_address(name))]
    except ValueError:
        pass
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)]
    except OSError:
        return []


def _ipv4() -> list[str]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack(f"{_INTERFACE_REQUEST}s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:  # it has none
                continue
            found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _ipv6() -> list[str]:
    """Global ones, from the kernel's table: address, index, prefix, scope, flags, name."""
    try:
        lines = Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    entries = [line.split() for line in lines]
    return [str(ipaddress.IPv6Address(bytes.fromhex(entry[0]))) for entry in entries if entry[3] == "00"]
