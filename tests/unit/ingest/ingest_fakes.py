"""Stand-ins for our own narrow runtime interfaces."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from appliance.contracts import subjects
from appliance.contracts.directory import KeyRecord, secret_hash
from appliance.contracts.errors import UnavailableError, WrongSequenceError
from appliance.contracts.media import CHUNK_HEADER, Broadcast, ChunkHeader, Rendition
from appliance.runtime.bus import LogMessage

KEY = "secret-key"
_FIGURES = subjects.kept(subjects.FIGURES_BUCKET, "")


@dataclass
class FakeLog:
    """The part log, the live bucket and the outbox of one site."""

    messages: list[LogMessage] = field(default_factory=list)
    live: dict[str, bytes] = field(default_factory=dict)
    events: list[tuple[str, bytes]] = field(default_factory=list)
    handlers: dict[str, Callable[["Question"], Awaitable[None]]] = field(default_factory=dict)

    def add(self, subject: str, data: bytes, headers: Mapping[str, str], expect_last: int | None) -> int:
        last = self.last(subject)
        if expect_last is not None and expect_last != (last.seq if last else 0):
            raise WrongSequenceError("somebody else wrote")
        self.messages.append(LogMessage(len(self.messages) + 1, subject, data, dict(headers)))
        return len(self.messages)

    def last(self, subject: str) -> LogMessage | None:
        return next((message for message in reversed(self.messages) if message.subject == subject), None)

    def broadcasts(self) -> list[Broadcast]:
        return [
            msgspec.json.decode(value, type=Broadcast)
            for key, value in self.live.items()
            if key.startswith("broadcast.")
        ]

    def rendition(self, broadcast_id: str, name: str) -> Rendition:
        return msgspec.json.decode(self.live[subjects.rendition_key(broadcast_id, name)], type=Rendition)

    def chunks(self, broadcast_id: str, name: str) -> list[tuple[ChunkHeader, bytes]]:
        subject = subjects.media(broadcast_id, name)
        return [
            (ChunkHeader.decode(message.headers[CHUNK_HEADER]), message.data)
            for message in self.messages
            if message.subject == subject
        ]


class FakeBucket:
    def __init__(self, log: FakeLog) -> None:
        self._log = log

    async def put(self, key: str, value: bytes) -> int:
        self._log.live[key] = value
        return 1

    async def delete(self, key: str, *, forget_s: int = 0) -> None:
        self._log.live.pop(key, None)


class Question:
    """A request on its way to its one handler."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def reply(self, data: bytes) -> None:
        self.answer.set_result(data)


class FakeSubscription:
    def __init__(self, log: FakeLog, subject: str) -> None:
        self._log, self._subject = log, subject

    async def close(self) -> None:
        self._log.handlers.pop(self._subject, None)


class FakeBus:
    def __init__(self, log: FakeLog) -> None:
        self.log = log

    def bucket(self, _name: str) -> FakeBucket:
        return FakeBucket(self.log)

    async def subscribe(self, subject: str, handler: Callable[[Question], Awaitable[None]]) -> FakeSubscription:
        self.log.handlers[subject] = handler
        return FakeSubscription(self.log, subject)

    async def request(self, subject: str, data: bytes, timeout_s: float = 2.0) -> bytes:
        if subject not in self.log.handlers:
            raise UnavailableError("nobody listens")
        question = Question(data)
        await self.log.handlers[subject](question)
        async with asyncio.timeout(timeout_s):
            return await question.answer

    async def append(self, subject: str, data: bytes, *, message_id: str) -> int:
        self.log.events.append((subject, data))
        return len(self.log.events)

    async def last_sequence(self, _stream: str) -> int:
        return len(self.log.messages)

    async def tail(self, _stream: str, wanted: list[str], start: int = 1) -> AsyncIterator[LogMessage]:
        at = start - 1
        while True:
            while at < len(self.log.messages):
                at += 1
                if any(_matches(self.log.messages[at - 1].subject, one) for one in wanted):
                    yield self.log.messages[at - 1]
            await asyncio.sleep(0.005)

    async def last_message(self, _stream: str, subject: str) -> LogMessage | None:
        return self.log.last(subject)


def _matches(subject: str, wanted: str) -> bool:
    tokens, pattern = subject.split("."), wanted.split(".")
    return len(tokens) == len(pattern) and all(
        want in ("*", token) for token, want in zip(tokens, pattern, strict=True)
    )


class FakeAppender:
    def __init__(self, log: FakeLog) -> None:
        self.log = log
        self.pending_bytes = 0
        self.lanes: dict[str, int] = {}

    def before_tick(self, callback: Callable[[], float]) -> None:
        callback()
        asyncio.get_running_loop().call_later(0.005, self.before_tick, callback)

    def tick_soon(self) -> None:
        pass

    def append(
        self,
        subject: str,
        data: bytes,
        *,
        message_id: str,
        headers: Mapping[str, str],
        expect_last: int | None = None,
    ) -> "asyncio.Future[int]":
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if subject.startswith(_FIGURES):
            self._keep(subject.removeprefix(_FIGURES), data, headers)
            future.set_result(1)
            return future
        expect = expect_last if expect_last is not None else self.lanes.get(subject)
        try:
            self.lanes[subject] = self.log.add(subject, data, headers, expect)
            future.set_result(self.lanes[subject])
        except WrongSequenceError as error:
            future.set_exception(error)
            future.exception()
        return future

    def _keep(self, key: str, data: bytes, headers: Mapping[str, str]) -> None:
        if headers.get("KV-Operation") == "DEL":
            self.log.live.pop(key, None)
        else:
            self.log.live[key] = data


class FakeReplica:
    def __init__(self, values: dict[str, bytes]) -> None:
        self.values = values

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def items(self, prefix: str) -> list[tuple[str, bytes]]:
        return [(key, value) for key, value in self.values.items() if key.startswith(prefix)]


def directory_with(*keys: str, **fields: object) -> FakeReplica:
    """A directory of stream keys; each is its own channel named after its place."""
    values = {}
    for number, key in enumerate(keys):
        record = KeyRecord(
            **{
                "key_id": f"key{number}",
                "channel_id": f"channel{number}",
                "channel": f"name{number}",
                "user_id": "user",
                **fields,
            }
        )
        values[subjects.stream_key_key(secret_hash(key))] = msgspec.json.encode(record)
    return FakeReplica(values)
