"""Writes messages to the outbox: what it says is durable, is."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import msgspec

from appliance.contracts.chat import ChatMessage
from appliance.contracts.errors import NearcastError, UnavailableError
from appliance.contracts.moderation import RoomEvent
from appliance.contracts.subjects import chat, room_event
from appliance.runtime.tasks import Tasks
from edge.chat.config import ChatConfig
from edge.chat.metrics import APPEND, Tally

_BATCH = 100  # messages of one entry: with the longest texts about 250 KB
_LEAST_S = 0.5
_RETRY_S = 2.0


class Outbox(Protocol):
    """The part of a bus that writing needs."""

    async def append(self, subject: str, data: bytes, *, message_id: str, deadline_s: float) -> int:
        """Durable when it returns. UnavailableError."""


class _Waiting(NamedTuple):
    message: ChatMessage
    done: asyncio.Future[None]
    since: float


class ChatLog:
    """Messages of one room go in batches, one append at a time, so their order is that of their arrival.

    `read(seq)` returns when this process has read that entry of the outbox, or cannot soon: only then it is known
    whether another gateway took an earlier try of the same message or action.
    """

    def __init__(
        self,
        outbox: Outbox,
        config: ChatConfig,
        tally: Tally,
        on_failure: Callable[[BaseException], None] | None,
        read: Callable[[int], Awaitable[bool]],
    ) -> None:
        self._outbox = outbox
        self._read = read
        self._config = config
        self._tally = tally
        self._tasks = Tasks(on_failure)
        self._lanes: dict[str, deque[_Waiting]] = {}
        self.pending = 0

    def submit(self, room_id: str, message: ChatMessage) -> asyncio.Future[None]:
        """A future that ends when the message is durable and read, or with UnavailableError when it will not be.

        Raises UnavailableError at once when too many wait already.
        """
        if self.pending >= self._config.pending:
            raise UnavailableError("too many messages wait to be stored", retry_after_s=_RETRY_S)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(message, loop.create_future(), loop.time())
        self.pending += 1
        waiting.done.add_done_callback(self._less)
        lane = self._lanes.get(room_id)
        if lane is None:
            lane = self._lanes[room_id] = deque()
            self._tasks.start(self._run(room_id, lane), "chat-log")
        lane.append(waiting)
        return waiting.done

    def submit_event(self, event: RoomEvent, after: asyncio.Future[None] | None = None) -> asyncio.Future[None]:
        """As submit, for an event of a room; each is an entry of its own. It is stored once `after` is durable, and
        not at all when that is refused."""
        if self.pending >= self._config.pending:
            raise UnavailableError("too many messages wait to be stored", retry_after_s=_RETRY_S)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pending += 1
        done.add_done_callback(self._less)
        self._tasks.start(self._append_event(event, done, after), "chat-log-event")
        return done

    async def _append_event(
        self, event: RoomEvent, done: asyncio.Future[None], after: asyncio.Future[None] | None
    ) -> None:
        error: UnavailableError | None = UnavailableError("the chat is stopping")
        try:
            if after is not None:
                await after
            seq = await self._outbox.append(
                room_event(event.room, self._config.edge_id),
                msgspec.json.encode([event]),
                message_id=event.event_id,
                deadline_s=self._config.append_s,
            )
            error = None
            await self._read(seq)
        except NearcastError as cause:
            error = UnavailableError("the action could not be stored", retry_after_s=_RETRY_S)
            error.__cause__ = cause
        finally:
            if not done.done():
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)

    async def _run(self, room_id: str, lane: deque[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            while lane:
                began = loop.time()
                batch = [lane.popleft() for _ in range(min(_BATCH, len(lane)))]
                await self._append(room_id, batch)
                await asyncio.sleep(max(0.0, began + self._config.batch_s - loop.time()))
        finally:
            del self._lanes[room_id]
            self._settle(list(lane), UnavailableError("the chat is stopping"))

    async def _append(self, room_id: str, batch: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        error = UnavailableError("the chat is stopping")
        try:
            seq = await self._outbox.append(
                chat(room_id, self._config.edge_id),
                msgspec.json.encode([waiting.message for waiting in batch]),
                message_id=batch[0].message.message_id,
                deadline_s=max(_LEAST_S, batch[0].since + self._config.append_s - loop.time()),
            )
        except NearcastError as cause:
            error = UnavailableError("the message could not be stored", retry_after_s=_RETRY_S)
            error.__cause__ = cause
        else:
            for waiting in batch:
                APPEND.observe(loop.time() - waiting.since)
            self._tally.messages += len(batch)
            self._tasks.start(self._acknowledge(batch, seq), "chat-log-read")
            batch = []
        finally:
            self._settle(batch, error)

    async def _acknowledge(self, batch: list[_Waiting], seq: int) -> None:
        try:
            await self._read(seq)
        finally:
            self._settle(batch, None)

    @staticmethod
    def _settle(batch: list[_Waiting], error: UnavailableError | None) -> None:
        for waiting in batch:
            if waiting.done.done():
                continue
            if error is None:
                waiting.done.set_result(None)
            else:
                waiting.done.set_exception(error)

    def _less(self, done: asyncio.Future[None]) -> None:
        self.pending -= 1
        if not done.cancelled():
            done.exception()  # the asker may have left: its error is nobody's then

    async def close(self, wait_s: float) -> None:
        """Gives what waits a bounded time, then refuses it."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + wait_s
        while self._lanes and loop.time() < limit:  # noqa: ASYNC110 - bounded, and only when leaving
            await asyncio.sleep(0.01)
        await self._tasks.close()
