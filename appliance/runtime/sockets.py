"""Transports for thousands of connections that are mostly silent: small, and open as soon as they are made.

All sockets of a loop wait in one epoll of their own, which the loop watches as one descriptor. What a transport
does is what asyncio's say, with these limits: the high-water mark is 0, so `pause_writing` comes with the first
byte that a socket does not take, reading cannot be paused, and the peer's end is ours behind what was written.
"""

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

_AT_ONCE = 128  # sockets served in one turn of the loop
_READ = 64 * 1024
_BROKEN = select.EPOLLHUP | select.EPOLLERR
_READABLE = select.EPOLLIN | _BROKEN
_NOBODY = asyncio.Protocol()

P = TypeVar("P", bound=asyncio.Protocol)


class Sockets:
    """The connections of one loop. `close` ends all of them at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.buffer = bytearray(_READ)  # what is read is copied from here
        self.held: list[SocketTransport] | None = None  # those that wrote while all are written together
        self._epoll = select.epoll()
        self._transports: dict[int, SocketTransport] = {}
        loop.add_reader(self._epoll.fileno(), self._serve)

    def open(self, taken: socket.socket, protocol: asyncio.Protocol) -> "SocketTransport":
        """Takes over a connected socket that does not block; calls `connection_made` before it returns.

        OSError when it cannot be watched: it is the caller's then.
        """
        transport = SocketTransport(self, taken.fileno(), protocol)
        self._watch_new(taken, transport)
        protocol.connection_made(transport)
        return transport

    def open_with(self, taken: socket.socket, make: "Callable[[SocketTransport], P]") -> P:
        """As `open`, for a protocol that is made with its transport, instead of a call. OSError."""
        transport = SocketTransport(self, taken.fileno(), _NOBODY)
        self._watch_new(taken, transport)
        protocol = make(transport)
        transport.set_protocol(protocol)
        return protocol

    def _watch_new(self, taken: socket.socket, transport: "SocketTransport") -> None:
        self._epoll.register(taken.fileno(), select.EPOLLIN)
        self._transports[taken.detach()] = transport

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is written meanwhile, without awaiting anything, leaves at the end, socket after socket.

        A peer that sleeps is woken by the first of them and not by each: on one machine that is most of the cost.
        """
        held = self.held = []
        try:
            yield
        finally:
            self.held = None
            for transport in held:
                transport.let_go()

    def _serve(self) -> None:
        for fd, events in self._epoll.poll(0, _AT_ONCE):
            transport = self._transports.get(fd)
            if transport is not None:
                transport.serve(events)

    def watch(self, fd: int, events: int) -> None:
        """What a transport waits for."""
        self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        """It waits for nothing any more."""
        self._epoll.unregister(fd)

    def forget(self, fd: int) -> None:
        """Its descriptor is closed."""
        del self._transports[fd]
        os.close(fd)

    def close(self) -> None:
        """Ends all connections, whose protocols hear of it before this returns. May be called more than once."""
        if self._epoll.closed:
            return
        for transport in list(self._transports.values()):
            transport.end(None)
        self.loop.remove_reader(self._epoll.fileno())
        self._epoll.close()


class SocketTransport(asyncio.Transport):
    """One connection. It is open; or closing, until all is written; or over, until `connection_lost` was called."""

    __slots__ = ("_buffer", "_closing", "_ends", "_fd", "_over", "_protocol", "_sockets")

    def __init__(self, sockets: Sockets, fd: int, protocol: asyncio.BaseProtocol) -> None:
        self._sockets = sockets
        self._fd = fd  # none (-1) when it is closed
        self._protocol = cast("asyncio.Protocol", protocol)
        self._buffer: bytes | bytearray | None = None  # what the socket has not taken
        self._ends = False  # nothing is written any more
        self._closing = False
        self._over = False

    # -- what asyncio asks of a transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of "socket" a view that says its descriptor."""
        return self if name == "socket" else default

    def fileno(self) -> int:
        """The descriptor; none (-1) after the end."""
        return self._fd

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From here on calls go to another one."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whom calls go to."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it ends."""
        return self._closing or self._over

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """They are 0. ValueError for others."""
        if high or low:
            raise ValueError("a socket's write buffer limits are 0")

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Low and high water: 0 bytes."""
        return 0, 0

    def get_write_buffer_size(self) -> int:
        """Bytes that the socket has not taken."""
        return 0 if self._buffer is None else len(self._buffer)

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Writes what the socket takes now and keeps the rest. What comes after the end is dropped."""
        if self._over or self._closing or self._ends:
            return
        if self._buffer is not None:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            self._buffer += data
            return
        if self._sockets.held is not None:
            self._buffer = bytes(data)
            self._sockets.held.append(self)
            return
        self._write(data)

    def let_go(self) -> None:
        """Writes what was held."""
        data, self._buffer = self._buffer, None
        if data is None or self._over:
            return
        self._write(data)
        if self._buffer is None:
            self._end_if_asked()

    def _write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        taken = self._put(data)
        if taken < len(data) and not self._over:
            is_shared = taken == 0 and isinstance(data, bytes)  # with all whose sockets are full
            self._buffer = cast("bytes", data) if is_shared else bytearray(memoryview(data)[taken:])
            self._sockets.watch(self._fd, select.EPOLLIN | select.EPOLLOUT)
            self._protocol.pause_writing()

    def _put(self, data: "bytes | bytearray | memoryview[Any]") -> int:
        """How much of it the socket took."""
        try:
            return os.write(self._fd, data) if data else 0
        except BlockingIOError:
            return 0
        except OSError as error:
            self._give_up(error)
            return 0

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def write_eof(self) -> None:
        """The peer sees an end behind what was written; what it says is read on."""
        if self._over or self._ends:
            return
        self._ends = True
        if self._buffer is None:
            self._shut_down()

    def _shut_down(self) -> None:
        ours = socket.socket(fileno=self._fd)
        with contextlib.suppress(OSError):  # the peer was quicker
            ours.shutdown(socket.SHUT_WR)
        ours.detach()

    def close(self) -> None:
        """Ends behind what was written; nothing is read any more."""
        if self._over or self._closing:
            return
        self._closing = True
        if self._buffer is None:
            self._give_up(None)
        else:
            self._sockets.watch(self._fd, select.EPOLLOUT)

    def abort(self) -> None:
        """Ends at once."""
        self._give_up(None)

    # -- events

    def serve(self, events: int) -> None:
        """The socket is ready for something."""
        try:
            if events & select.EPOLLOUT and not self._over:
                self._flush()
            if events & _READABLE and not self._over:
                self._read(events)
        except Exception as error:  # noqa: BLE001 - the root of what a protocol does with its bytes
            self._sockets.loop.call_exception_handler(
                {"message": "a protocol failed", "exception": error, "transport": self, "protocol": self._protocol}
            )
            self._give_up(error)

    def _read(self, events: int) -> None:
        if self._closing:
            if events & _BROKEN:
                self._give_up(None)
            return
        buffer = self._sockets.buffer
        try:
            size = os.readv(self._fd, (buffer,))
        except BlockingIOError:
            return
        except OSError as error:
            self._give_up(error)
            return
        if size:
            self._protocol.data_received(bytes(memoryview(buffer)[:size]))
        else:
            self._protocol.eof_received()
            self.close()

    def _flush(self) -> None:
        if self._buffer is None:
            return
        taken = self._put(self._buffer)
        if self._over:
            return
        if taken < len(self._buffer):
            if isinstance(self._buffer, bytearray):
                del self._buffer[:taken]
            elif taken:
                self._buffer = bytearray(memoryview(self._buffer)[taken:])
            return
        self._buffer = None
        self._end_if_asked()
        if not self._over:
            self._sockets.watch(self._fd, select.EPOLLIN)
            self._protocol.resume_writing()

    def _end_if_asked(self) -> None:
        """All is written."""
        if self._closing:
            self._give_up(None)
        elif self._ends and not self._over:
            self._shut_down()

    def _give_up(self, error: BaseException | None) -> None:
        if self._over:
            return
        self._over = True
        self._buffer = None
        self._sockets.unwatch(self._fd)
        self._sockets.loop.call_soon(self.end, error)

    def end(self, error: BaseException | None) -> None:
        """Tells the protocol, then closes: who writes to descriptors forgets this one in between."""
        if self._fd < 0:
            return
        self._over = True
        self._buffer = None
        fd = self._fd
        try:
            self._protocol.connection_lost(cast("Exception | None", error))
        finally:
            self._fd = -1
            self._sockets.forget(fd)
