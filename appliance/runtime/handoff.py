"""Passing an accepted connection to another role of the same machine.

All viewers meet one port; a request that belongs to another role travels there as its file descriptor
(SCM_RIGHTS) with the bytes already read, so nobody copies bytes between processes afterwards.
"""

import array
import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from appliance.runtime.logs import get_logger

_MAX_HEAD = 64 * 1024
_BACKLOG = 1024
_AT_ONCE = 32  # connections taken in one turn of the loop


class _Way:
    """One receiver's socket. Connects when first needed and again after the receiver came back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def send(self, data: bytes, fd: int) -> bool:
        for _ in range(2):
            try:
                if self._socket is None:
                    self._socket = self._connect()
                socket.send_fds(self._socket, [data], [fd])
                return True
            except BlockingIOError:
                return False
            except OSError:
                self.close()
        return False

    def _connect(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            made.connect(str(self._path))
        except OSError:
            made.close()
            raise
        made.setblocking(False)
        return made

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class HandoffSender:
    """The giving side, to one or more equal receivers in turn."""

    def __init__(self, *paths: Path) -> None:
        self._ways = [_Way(path) for path in paths]
        self._turn = 0

    def send(self, fd: int, head: bytes, peer: str) -> bool:
        """Gives the connection away; the caller then closes its own descriptor without a shutdown.

        False when nobody takes it (receivers away or their queues full): the caller still owns it.
        """
        name = peer.encode()[:255]
        data = struct.pack("!B", len(name)) + name + head
        if len(data) > _MAX_HEAD:
            return False
        self._turn += 1
        first = self._turn % len(self._ways)
        return any(way.send(data, fd) for way in self._ways[first:] + self._ways[:first])

    def close(self) -> None:
        """Closes the sockets."""
        for way in self._ways:
            way.close()


class HandoffReceiver:
    """The taking side: `on_connection(socket, bytes read so far, peer)` for each, in the running loop."""

    def __init__(self, path: Path, on_connection: Callable[[socket.socket, bytes, str], None]) -> None:
        self._path = path
        self._on_connection = on_connection
        self._listener: socket.socket | None = None
        self._file = 0  # which file it is: a successor of this process has replaced it by its own
        self._senders: set[socket.socket] = set()
        self._log = get_logger("handoff")

    async def start(self) -> None:
        """Listens; a socket left by a dead process is replaced."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(self._path))
        self._file = self._path.stat().st_ino
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            sender, _ = self._listener.accept()
        except OSError:
            return
        sender.setblocking(False)
        self._senders.add(sender)
        asyncio.get_running_loop().add_reader(sender, self._receive, sender)

    def _receive(self, sender: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            if not self._receive_one(sender):
                return

    def _receive_one(self, sender: socket.socket) -> bool:
        """False when there is no more for now."""
        try:
            data, fds = _take(sender)
        except BlockingIOError:
            return False
        except OSError:
            data, fds = b"", []
        if not data:
            self._drop(sender)
            return False
        if len(fds) != 1 or len(data) < 1 + data[0]:
            for fd in fds:
                socket.close(fd)
            self._log.error("handoff_malformed", descriptors=len(fds))
            return True
        taken = socket.socket(fileno=fds[0])
        taken.setblocking(False)
        end = 1 + data[0]
        self._on_connection(taken, data[end:], data[1:end].decode(errors="replace"))
        return True

    def _drop(self, sender: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(sender)
        self._senders.discard(sender)
        sender.close()

    async def close(self) -> None:
        """Stops taking."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            with contextlib.suppress(OSError):
                if self._path.stat().st_ino == self._file:
                    self._path.unlink()
        for sender in list(self._senders):
            self._drop(sender)


def _take(sender: socket.socket) -> tuple[bytes, list[int]]:
    fds = array.array("i")
    data, ancillary, _flags, _address = sender.recvmsg(_MAX_HEAD, socket.CMSG_LEN(4 * fds.itemsize))
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    return data, list(fds)
