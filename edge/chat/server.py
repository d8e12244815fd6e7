"""The connections of one gateway process: taken over, counted, watched, sent elsewhere."""

import asyncio
import contextlib
import random
import socket
import ssl
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from appliance.runtime.handoff import HandoffReceiver
from appliance.runtime.sockets import Sockets
from appliance.runtime.tasks import Tasks
from appliance.runtime.tls import ServerTls
from edge.chat.arrival import Arrival
from edge.chat.config import ChatConfig
from edge.chat.connection import NEVER, Connection
from edge.chat.crowd import Crowd, Entry
from edge.chat.frames import stream_event
from edge.chat.index import Index, Place
from edge.chat.irc.ports import IrcPorts
from edge.chat.irc.socket import IrcSocket
from edge.chat.metrics import CONNECTIONS, PENDING, ROOMS, Tally
from edge.chat.moderation import Moderation
from edge.chat.newcomers import Newcomers
from edge.chat.requests import Requests
from edge.chat.room import SLICE
from edge.chat.rooms import Feed, Rooms
from edge.chat.rules import Rules
from edge.chat.shortcut import known
from edge.chat.subscriber import Subscriber
from edge.chat.wheel import Wheel
from edge.protocols.http.request import HeadMemo

_SEND_BUFFER = 64 * 1024
_USER_TIMEOUT_MS = 20_000

Member = Arrival | Connection | IrcSocket


class ChatServer:
    """Owns every connection and what they share."""

    def __init__(
        self,
        *,
        config: ChatConfig,
        socket_path: Path,
        rooms: Rooms,
        feed: Feed,
        index: Index,
        rules: Rules,
        tally: Tally,
        waiting: Callable[[], int],
        tls: ServerTls | None,
        on_failure: Callable[[BaseException], None] | None,
    ) -> None:
        self.config = config
        self.rooms = rooms
        self.feed = feed
        self.index = index
        self.rules = rules
        self.tally = tally
        self.memo = HeadMemo()
        self.tasks = Tasks(on_failure)
        self.requests = Requests(self)
        self.moderation = Moderation(self)
        self.newcomers = Newcomers(config.unknown)
        self.irc = IrcPorts(self, tls)
        self._waiting = waiting
        self._loop = asyncio.get_running_loop()
        self._receiver = HandoffReceiver(socket_path, self.adopt)
        self._sockets = Sockets(self._loop)
        self._connections: set[Member] = set()
        self._wheel: Wheel[Member] = Wheel(self.now())
        self._crowd = Crowd(config)
        self._arrived: deque[tuple[socket.socket, bytes, str]] = deque()  # as many as are handed over in a turn
        self._draining = False

    def now(self) -> float:
        """Monotonic seconds."""
        return self._loop.time()

    @property
    def count(self) -> int:
        """Open connections."""
        return len(self._crowd)

    async def start(self) -> None:
        """Returns when connections are taken."""
        self.tasks.start(self._tick(), "chat-tick")
        await self._receiver.start()
        self.irc.start()

    # -- connections

    def adopt(self, taken: socket.socket, head: bytes, peer: str) -> None:
        """Takes over an accepted connection whose first bytes were read by somebody else, in the next turn."""
        if not self._arrived:
            self._loop.call_soon(self._open_all)
        self._arrived.append((taken, head, peer))

    def _open_all(self) -> None:
        try:
            with self._sockets.together():
                while self._arrived:
                    self._open(*self._arrived.popleft())
        finally:
            if self._arrived:  # one of them failed: the others are not to suffer for it
                self._loop.call_soon(self._open_all)

    def _open(self, taken: socket.socket, head: bytes, peer: str) -> None:
        entry = self._enter(taken, peer)
        if entry is Entry.CLOSED:
            return
        peer = sys.intern(peer)
        try:
            _tune(taken)
            if entry is not Entry.TAKEN or not self._subscribe(taken, head, peer):
                self._sockets.open(taken, Arrival(self, head, peer, entry))
        except OSError:
            taken.close()
            self._crowd.leave(peer, entry)

    def _subscribe(self, taken: socket.socket, head: bytes, peer: str) -> bool:
        """Takes a client of a known room that asks in words that came before; OSError before it is taken."""
        found = known(self.memo, head)
        if found is None:
            return False
        shortcut, key = found
        place = shortcut.route.find(self.index)
        if place is None:
            return False
        answer = shortcut.agreement.answer(key)

        def make(transport: asyncio.Transport) -> Subscriber:
            return Subscriber(self, transport, peer, Entry.TAKEN, place, shortcut.agreement.deflate, answer)

        subscriber = self._sockets.open_with(taken, make)
        self._connections.add(subscriber)
        subscriber.begin("", shortcut.since)
        return True

    def adopt_irc(self, taken: socket.socket, peer: str, context: ssl.SSLContext | None) -> None:
        """Takes over a connection that an IRC port accepted; with a context it first shakes hands."""
        entry = self._enter(taken, peer)
        if entry is not Entry.CLOSED:
            self.tasks.start(self._adopt_irc(taken, IrcSocket(self, peer, entry), context), "chat-adopt")

    def _enter(self, taken: socket.socket, peer: str) -> Entry:
        entry = Entry.CLOSED if self._draining else self._crowd.enter(peer)
        if entry is not Entry.TAKEN and not self._draining:
            self.tally.events["over_connections"] += 1
        if entry is Entry.CLOSED:
            taken.close()
        return entry

    async def _adopt_irc(self, taken: socket.socket, arrival: IrcSocket, context: ssl.SSLContext | None) -> None:
        try:
            _tune(taken)
            limit_s = self.config.handshake_s if context is not None else None
            await self._loop.connect_accepted_socket(
                lambda: arrival, taken, ssl=context, ssl_handshake_timeout=limit_s
            )
        except OSError:
            self.tally.events["handshake_failed"] += context is not None
            taken.close()
            if arrival not in self._connections and not arrival.closed:
                self.lost(arrival)

    def opened(self, connection: Arrival | IrcSocket) -> None:
        self._connections.add(connection)

    def replace(self, arrival: Arrival, connection: Connection) -> None:
        """A connection became a WebSocket."""
        self._connections.discard(arrival)
        self._wheel.forget(arrival)
        self._connections.add(connection)

    def lost(self, connection: Member) -> None:
        self._connections.discard(connection)
        self._wheel.forget(connection)
        self._crowd.leave(connection.address, connection.entry)

    def remind(self, connection: Member, at: float) -> None:
        """Calls `connection.check` at that time, or earlier."""
        self._wheel.remind(connection, at)

    # -- rooms

    def current(self, place: Place) -> Place:
        """The same room with the stream it has now."""
        return self.index.by_name(place.channel) or place

    def state_changed(self, channel_id: str, stream_id: str, state: str) -> None:
        """Tells the room of a channel how its broadcast fares."""
        room = self.rooms.known(channel_id)
        if room is not None and room.in_use:
            room.event(stream_event(stream_id, state))

    # -- time

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._wheel.rest(self.now()))
            for number, connection in enumerate(self._wheel.turn(self.now())):
                if number % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
                if connection in self._connections:
                    at = connection.check(self.now())
                    if at != NEVER:
                        self._wheel.remind(connection, at)
            self.irc.rosters.tick(self.now())
            self.rooms.shrink()
            self._count_all()

    def _count_all(self) -> None:
        CONNECTIONS.set(self.count)
        ROOMS.set(len(self.rooms))
        PENDING.set(self._waiting())
        self.tally.flush()

    async def drain(self) -> None:
        """Takes nothing new and sends everybody elsewhere, spread over the drain time."""
        self._draining = True
        self.irc.close()
        await self._receiver.close()
        spread = self.config.drain_s
        for connection in list(self._connections):
            if not isinstance(connection, Arrival):
                self._loop.call_later(random.random() * spread, self._send_elsewhere, connection)  # noqa: S311
        limit = self.now() + spread + 1.0
        while self._connections and self.now() < limit:  # noqa: ASYNC110 - bounded, and only when leaving
            await asyncio.sleep(0.05)

    def _send_elsewhere(self, connection: Connection | IrcSocket) -> None:
        connection.send_elsewhere(random.random() * self.config.drain_s)  # noqa: S311 - spreads the returns

    async def stop(self) -> None:
        """Closes everything."""
        self._draining = True
        self.newcomers.close()
        self.irc.close()
        await self._receiver.close()
        await self.tasks.close()
        for connection in list(self._connections):
            connection.abort()
        self._sockets.close()
        await asyncio.sleep(0)
        self._count_all()


def _tune(taken: socket.socket) -> None:
    """OSError when the socket is gone already."""
    with contextlib.suppress(OSError):  # no TCP, which is fine
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
