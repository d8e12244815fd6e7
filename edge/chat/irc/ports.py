"""The IRC ports, plain and in TLS, and what all clients of IRC share."""

import asyncio
import errno
import socket
import ssl
from typing import TYPE_CHECKING

from appliance.runtime.listening import client_of, inherited, open_listener
from appliance.runtime.tls import ServerTls
from edge.chat.irc.roster import Rosters

if TYPE_CHECKING:
    from edge.chat.server import ChatServer

_AT_ONCE = 64  # accepted in one turn of the loop
_PAUSE_S = 1.0
_OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class IrcPorts:
    """Takes connections. A client counts from its first byte, not from the end of a handshake."""

    def __init__(self, server: "ChatServer", tls: ServerTls | None) -> None:
        self.rosters = Rosters(server)
        self._server = server
        self._tls = tls
        self._listeners: dict[str, socket.socket] = {}

    def port(self, name: str) -> int:
        """The number of the port "irc" or "ircs"; KeyError where it is not open."""
        return int(self._listeners[name].getsockname()[1])

    def start(self) -> None:
        """Opens the ports that are set. OSError: one cannot be had."""
        config = self._server.config
        self._open("irc", config.irc_port, None)
        if self._tls is not None:
            self._open("ircs", config.ircs_port, self._tls.context)
            if "ircs" in self._listeners:
                self._server.tasks.start(self._tls.watch(), "chat-certificate")

    def _open(self, name: str, port: int | None, context: ssl.SSLContext | None) -> None:
        if port is not None:
            self._listeners[name] = inherited(name) or open_listener(self._server.config.host, port)
            self._read(name, context)

    def _read(self, name: str, context: ssl.SSLContext | None) -> None:
        listener = self._listeners.get(name)
        if listener is not None:
            asyncio.get_running_loop().add_reader(listener, self._accept, name, listener, context)

    def _accept(self, name: str, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        for _ in range(_AT_ONCE):
            try:
                taken, peer = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as failure:
                if failure.errno in _OUT_OF_FILES:
                    loop = asyncio.get_running_loop()
                    self._server.tally.events["accept_paused"] += 1
                    loop.remove_reader(listener)
                    loop.call_later(_PAUSE_S, self._read, name, context)
                return
            taken.setblocking(False)
            self._server.adopt_irc(taken, client_of(peer)[0], context)

    def close(self) -> None:
        """Takes no new connections; may be called more than once."""
        while self._listeners:
            _, listener = self._listeners.popitem()
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
