"""Listening sockets that a process is given instead of opening them itself.

Whoever starts a role may hold its listening sockets and pass them on: then clients that connect while the role is
started again, or was killed, wait in the queue of the socket and are never refused. The supervisor tells the
descriptors in NEARCAST_LISTEN ("http=7 https=8"); a systemd socket unit in LISTEN_FDS and LISTEN_FDNAMES.
"""

import contextlib
import os
import socket
from collections.abc import Mapping

from appliance.contracts.errors import ConfigError

LISTEN = "NEARCAST_LISTEN"
BACKLOG = 4096
_MAPPED = "::ffff:"  # RFC 4291, 2.5.5.2
_FIRST = 3  # of systemd's descriptors


def open_listener(host: str, port: int, *, shared: bool = True) -> socket.socket:
    """A socket that listens, on "::" for IPv4 as well. OSError.

    `shared`: others of the same kind may listen on the port, too.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def client_of(peer: object) -> tuple[str, int]:
    """Address and port of a peer as sockets name it; of IPv4 without the prefix that it has at a socket of IPv6.

    Empty and 0 for one without a name.
    """
    if not (isinstance(peer, tuple) and len(peer) >= 2):
        return "", 0
    return str(peer[0]).removeprefix(_MAPPED), int(peer[1])


def inherited(name: str, environ: Mapping[str, str] = os.environ) -> socket.socket | None:
    """The listening socket of that name that this process was given; None: it opens one itself.

    Closing it leaves the socket open with whoever gave it. ConfigError when the descriptor is no such socket.
    """
    number = _told(environ).get(name)
    if number is None:
        return None
    try:
        listener = socket.socket(fileno=os.dup(number))
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listener.close()
            raise ConfigError(f"descriptor {number} for {name} does not listen")
    except OSError as error:
        raise ConfigError(f"descriptor {number} for {name} is no socket: {error}") from error
    listener.setblocking(False)
    return listener


def _told(environ: Mapping[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in environ.get(LISTEN, "").split():
        name, _, number = item.partition("=")
        with contextlib.suppress(ValueError):
            found[name] = int(number)
    if environ.get("LISTEN_PID") == str(os.getpid()):
        names = environ.get("LISTEN_FDNAMES", "").split(":")
        count = environ.get("LISTEN_FDS", "0")
        for index in range(int(count) if count.isdigit() else 0):
            if index < len(names) and names[index]:
                found.setdefault(names[index], _FIRST + index)
    return found
