"""The chat role: puts its pieces together and gives them one life."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from appliance.contracts.chat import ChatPost, ChatPosted, ErrorCode
from appliance.contracts.moderation import (
    FollowRecord,
    ModerationAnswer,
    ModerationRequest,
    RoomEvent,
    SubscriberRecord,
)
from appliance.contracts.subjects import DIRECTORY_BUCKET, LIVE_BUCKET, chat_moderate, chat_post
from appliance.runtime.bus import Bus, BusMessage, Subscription
from appliance.runtime.clock import now_ms
from appliance.runtime.replica import Replica
from appliance.runtime.tasks import Tasks
from appliance.runtime.tls import ServerTls
from appliance.runtime.uring import open_fan_out
from edge.chat.config import ChatConfig
from edge.chat.crossing import Crossing
from edge.chat.index import Index
from edge.chat.journal import Journal, Said
from edge.chat.limits import SharedLimit, UserLimit, ValkeyCounter
from edge.chat.log import ChatLog
from edge.chat.metrics import Tally
from edge.chat.moderator import Moderator
from edge.chat.quotas import Quotas, RedisLessor
from edge.chat.rooms import Feed, Rooms
from edge.chat.rules import Rules
from edge.chat.server import ChatServer
from edge.chat.states import RoomStates

_QUEUE = "chat"
_LAST_APPENDS_S = 2.0


class ChatService:
    """Built, started and stopped by `edge.app` in the loop it is to run in.

    `fed`: the account with the outbox and the directory. `local`: the site's own account with the live bucket.
    `socket_path`: where connections are handed over. `tls`: the certificate of the port for IRC in TLS.
    """

    def __init__(
        self,
        config: ChatConfig,
        *,
        fed: Bus,
        local: Bus,
        socket_path: Path,
        tls: ServerTls | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.tally = Tally()
        self._config = config
        self._fed = fed
        self._tasks = Tasks(on_failure)
        self._subscriptions: list[Subscription] = []
        counter = ValkeyCounter(config.counters_url) if config.counters_url else None
        self._limit = SharedLimit(UserLimit(config.user_per_minute), counter, self.tally)
        self._log = ChatLog(fed, config, self.tally, on_failure, self._read)
        self.quotas = Quotas(
            config.room_per_minute,
            config.overall_per_minute,
            RedisLessor(config.counters_url) if config.counters_url else None,
            self.tally,
        )
        self._fan_out = open_fan_out()
        index = Index(self.tally, self._state_changed)
        self._states = RoomStates(config.edge_id, self.tally, self._elsewhere, self._news)
        rooms = Rooms(config, loop, self.tally, Journal(self._states, self._heard), self._fan_out, self._happened)
        self._rooms = rooms
        self._crossing = Crossing(
            config.edge_id, self._states, rooms.journal.nonces, self._log, self.tally, self._elsewhere
        )
        self.feed = Feed(fed, rooms, config, self.tally, on_failure)
        self._index = index
        self._directory = Replica(fed, DIRECTORY_BUCKET, self._directory_changed)
        self._live = Replica(local, LIVE_BUCKET, index.live_changed, kinds=("broadcast",))
        self.server = ChatServer(
            config=config,
            socket_path=socket_path,
            rooms=rooms,
            feed=self.feed,
            index=index,
            rules=self._rules(),
            tally=self.tally,
            waiting=lambda: self._log.pending,
            tls=tls,
            on_failure=on_failure,
        )

    def _rules(self) -> Rules:
        moderator = Moderator(
            self._config.edge_id,
            self._states,
            self._index,
            self.tally,
            submit=self._log.submit_event,
            find=self._rooms.find,
            say=self._log.submit,
            viewers=lambda room_id: self._rooms.get(room_id).readers,
            nonces=self._rooms.journal.nonces,
        )
        return Rules(
            self._log,
            self._limit,
            self.quotas,
            self._states,
            moderator,
            self.tally,
            self._rooms.find,
            self._rooms.journal.nonces,
        )

    async def _read(self, seq: int) -> bool:
        return await self.feed.has(seq)

    def _heard(self, room_id: str, said: Said) -> None:
        self.server.rules.heard(room_id, said)

    def _happened(self, event: RoomEvent) -> None:
        self.server.moderation.happened(event)

    def _elsewhere(self, room_id: str, events: Iterable[RoomEvent]) -> None:
        self._rooms.elsewhere(room_id, events)

    def _news(self, record: FollowRecord | SubscriberRecord) -> None:
        self.server.moderation.news(record)

    def _directory_changed(self, key: str, value: bytes | None) -> None:
        self._index.directory_changed(key, value)
        self._states.directory_changed(key, value)
        self._crossing.directory_changed(key, value)
        self.server.newcomers.directory_changed()

    def _state_changed(self, channel_id: str, stream_id: str, state: str) -> None:
        self.server.state_changed(channel_id, stream_id, state)

    async def start(self) -> None:
        """Returns when connections are taken, with directory, live state and recent messages known.
        UnavailableError, OSError."""
        await self._directory.start()
        await self._live.start()
        await self.feed.start()
        self._tasks.start(self._crossing.run(), "chat-crossing")
        self._tasks.start(self._limit.run(), "chat-counter")
        self._tasks.start(self.quotas.run(lambda: now_ms() / 1000), "chat-quotas")
        edge_id = self._config.edge_id
        self._subscriptions = [
            await self._fed.subscribe(chat_post(edge_id), self._on_post, queue=_QUEUE),
            await self._fed.subscribe(chat_moderate(edge_id), self._on_moderate, queue=_QUEUE),
        ]
        await self.server.start()

    async def _on_post(self, message: BusMessage) -> None:
        self._tasks.start(self._post(message), "chat-post")  # bounded: the log refuses when it is behind

    async def _post(self, message: BusMessage) -> None:
        try:
            wanted = msgspec.json.decode(message.data, type=ChatPost)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            posted = ChatPosted(code=ErrorCode.INVALID_FRAME, detail="expected a chat post", status=400)
        else:
            posted = await self.server.requests.posted_for(wanted)
        await message.reply(msgspec.json.encode(posted))

    async def _on_moderate(self, message: BusMessage) -> None:
        self._tasks.start(self._moderate(message), "chat-moderate")  # bounded as posts are

    async def _moderate(self, message: BusMessage) -> None:
        try:
            wanted = msgspec.json.decode(message.data, type=ModerationRequest)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            detail = "expected a moderator's action"
            answer = ModerationAnswer(code=ErrorCode.INVALID_FRAME, detail=detail, status=400)
        else:
            answer = await self.server.moderation.acted_for(wanted)
        await message.reply(msgspec.json.encode(answer))

    async def drain(self) -> None:
        """Takes nothing new, sends clients elsewhere, stores what was accepted; bounded."""
        while self._subscriptions:
            await self._subscriptions.pop().close()
        await self.server.drain()
        await self._log.close(_LAST_APPENDS_S)

    async def stop(self) -> None:
        """Ends everything."""
        await self.server.stop()
        await self._log.close(0.0)
        await self._tasks.close()
        await self._limit.close()
        await self.quotas.close()
        await self.feed.close()
        await self._live.close()
        await self._directory.close()
        self._fan_out.close()
