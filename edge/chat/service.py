"""The chat role: puts its pieces together and gives them one life."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.contracts.chat import ChatPost, ChatPosted, ErrorCode
from appliance.contracts.media import Broadcast
from appliance.contracts.subjects import DIRECTORY_BUCKET, LIVE_BUCKET, chat_post
from appliance.runtime.bus import Bus, BusMessage, Subscription
from appliance.runtime.replica import Replica
from appliance.runtime.tasks import Tasks
from edge.chat.config import ChatConfig
from edge.chat.index import Index
from edge.chat.limits import SharedLimit, UserLimit, ValkeyCounter
from edge.chat.log import ChatLog
from edge.chat.metrics import Tally
from edge.chat.rooms import Feed, Rooms
from edge.chat.rules import Rules
from edge.chat.server import ChatServer

_QUEUE = "chat"
_LAST_APPENDS_S = 2.0


class ChatService:
    """Built, started and stopped by `edge.app` in the loop it is to run in.

    `fed`: the account with the outbox and the directory. `local`: the site's own account with the live bucket.
    `socket_path`: where connections are handed over.
    """

    def __init__(
        self,
        config: ChatConfig,
        *,
        fed: Bus,
        local: Bus,
        socket_path: Path,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.tally = Tally()
        self._config = config
        self._fed = fed
        self._tasks = Tasks(on_failure)
        self._subscription: Subscription | None = None
        counter = ValkeyCounter(config.counters_url) if config.counters_url else None
        self._limit = SharedLimit(UserLimit(config.user_per_minute), counter, self.tally)
        self._log = ChatLog(fed, config, self.tally, on_failure)
        index = Index(self.tally, self._state_changed)
        rooms = Rooms(config, loop, self.tally)
        self.feed = Feed(fed, rooms, config, self.tally, on_failure)
        self._index = index
        self._directory = Replica(fed, DIRECTORY_BUCKET, self._directory_changed)
        self._live = Replica(local, LIVE_BUCKET, index.live_changed)
        self.server = ChatServer(
            config=config,
            socket_path=socket_path,
            rooms=rooms,
            feed=self.feed,
            index=index,
            rules=Rules(self._log, self._limit, self.tally),
            tally=self.tally,
            waiting=lambda: self._log.pending,
            on_failure=on_failure,
        )

    def _directory_changed(self, key: str, value: bytes | None) -> None:
        self._index.directory_changed(key, value)
        self.server.newcomers.directory_changed()

    def _state_changed(self, channel_id: str, broadcast: Broadcast) -> None:
        self.server.state_changed(channel_id, broadcast)

    async def start(self) -> None:
        """Returns when connections are taken, with directory, live state and recent messages known.
        UnavailableError, OSError."""
        await self._directory.start()
        await self._live.start()
        await self.feed.start()
        self._tasks.start(self._limit.run(), "chat-counter")
        self._subscription = await self._fed.subscribe(chat_post(self._config.edge_id), self._on_post, queue=_QUEUE)
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

    async def drain(self) -> None:
        """Takes nothing new, sends clients elsewhere, stores what was accepted; bounded."""
        if self._subscription is not None:
            await self._subscription.close()
            self._subscription = None
        await self.server.drain()
        await self._log.close(_LAST_APPENDS_S)

    async def stop(self) -> None:
        """Ends everything."""
        await self.server.stop()
        await self._log.close(0.0)
        await self._tasks.close()
        await self._limit.close()
        await self.feed.close()
        await self._live.close()
        await self._directory.close()
