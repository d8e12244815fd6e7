"""One NATS connection of one account, kept alive for ever.

What a role may rely on: core messages are at most once (and are lost while disconnected), appends are
durable when they return, a tail misses nothing. Traps of the client library that this module hides:
`flush()` is no barrier, the default number of reconnects is finite and an infinite one holds for the first
connection too, all come at the same pace, publishes while disconnected vanish, a full stream and an absent one
raise the same class.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from appliance.contracts.errors import (
    ConflictError,
    NotFoundError,
    UnavailableError,
    WrongSequenceError,
)
from appliance.contracts.subjects import kept
from appliance.runtime.acknowledgements import acknowledged_sequence, api_error, append_headers
from appliance.runtime.answers import AnswerParser
from appliance.runtime.backoff import Backoff
from appliance.runtime.ids import new_id
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from appliance.runtime.streams import BucketSpec, StreamSpec
from appliance.runtime.wire import append_command

# ruff: noqa: SLF001 - the library offers no other way to ask whether a subscription is closed, nor to write in pieces
_ERRORS = counter("nearcast_bus_errors_total", "Errors that the bus connection reported.", ["kind"])
_AGAIN_S, _AGAIN_MOST_S = 0.05, 0.25  # between two tries to come back: media waits for it
_REQUEST_S = 1.0


@dataclass(frozen=True, slots=True)
class BusMessage:
    """A core message."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    respond: Callable[[bytes], Awaitable[None]]

    async def reply(self, data: bytes) -> None:
        """Answers a request."""
        await self.respond(data)


@dataclass(frozen=True, slots=True)
class LogMessage:
    """A message of a durable log. `seq` is its position in the stream, `pending` what followed it then.

    `anew`: the log was deleted and made again since the message before; this is the first of the new one.
    """

    seq: int
    subject: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    time_us: int = 0
    pending: int = 0
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect and as whom. `url` may carry user:password; `credentials` is a file."""

    url: str
    credentials: str = ""


class Subscription:
    """A running core subscription."""

    def __init__(self, inner: NatsSubscription) -> None:
        self._inner = inner

    async def close(self) -> None:
        """Stops it; messages already received are still handled."""
        if not self._inner._closed:
            await self._inner.unsubscribe()


class Bus:
    """See the module's docstring. Built by `connect`. `returning`: how long to wait for each try to come back."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.answers = AnswerParser(client)
        self.name = name
        self._log = get_logger("bus").bind(bus=name)
        self._reconnected: list[Callable[[], None]] = []
        self.returning = Backoff(_AGAIN_S, _AGAIN_MOST_S)
        self._up = asyncio.Event()  # set at each return of the connection
        self._up.set()
        self._left = False

    @classmethod
    async def connect(cls, endpoint: Endpoint, *, name: str, deadline_s: float = 30.0) -> "Bus":
        """Connects, trying again until `deadline_s`. UnavailableError when the server never answers."""
        bus = cls(Client(), name)
        backoff = Backoff(0.05, 1.0)
        until = asyncio.get_running_loop().time() + deadline_s
        while True:
            try:
                await bus._connect(endpoint)
                return bus
            except (TimeoutError, OSError, nats.errors.Error) as error:
                if asyncio.get_running_loop().time() > until:
                    raise UnavailableError(f"NATS does not answer: {error!r}") from error
                await asyncio.sleep(backoff.next_delay())
                bus.client = Client()

    async def _connect(self, endpoint: Endpoint) -> None:
        options: dict[str, Any] = {"user_credentials": endpoint.credentials} if endpoint.credentials else {}
        self.answers = self.client._ps = AnswerParser(self.client)
        await self.client.connect(
            endpoint.url,
            name=self.name,
            allow_reconnect=True,
            max_reconnect_attempts=1,
            reconnect_time_wait=self.returning.next_delay(),  # type: ignore[arg-type] # seconds, which it sleeps
            reconnect_to_server_handler=self._next_try,
            connect_timeout=2,
            ping_interval=5,
            max_outstanding_pings=2,
            pending_size=64 << 20,
            inbox_prefix=f"_INBOX.{self.name}".encode(),
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            **options,
        )
        self.client.options["max_reconnect_attempts"] = -1
        self.returning.reset()

    def _next_try(self, servers: list[Any], info: dict[str, Any]) -> tuple[None, float]:  # noqa: ARG002 - as called
        """The next server in turn, and how long to wait ahead of it."""
        return None, self.returning.next_delay()

    @property
    def connected(self) -> bool:
        """Whether the server is there now."""
        return bool(self.client.is_connected)

    @property
    def reconnects(self) -> int:
        """How often the connection came back, counted before anything is sent on it."""
        return int(self.client.stats["reconnects"])

    @property
    def closed(self) -> bool:
        """Whether this connection was closed for good."""
        return bool(self.client.is_closed)

    @property
    def left(self) -> bool:
        """Whether it was closed because nobody here needs it any more."""
        return self._left

    def add_reconnected(self, callback: Callable[[], None]) -> None:
        """`callback` runs after each return of the connection."""
        self._reconnected.append(callback)

    def remove_reconnected(self, callback: Callable[[], None]) -> None:
        """Undoes `add_reconnected`."""
        if callback in self._reconnected:
            self._reconnected.remove(callback)

    async def publish(self, subject: str, data: bytes) -> None:
        """Core message, at most once."""
        try:
            await self.client.publish(subject, data)
        except nats.errors.Error as error:
            raise UnavailableError(f"cannot publish: {error!r}") from error

    def post(
        self,
        subject: str,
        data: bytes,
        *,
        reply: str,
        message_id: str,
        headers: Mapping[str, str],
        expect_last: int | None = None,
    ) -> None:
        """Queues a durable append, to leave with the next `flush`. The acknowledgement comes to `reply`.

        At half the cost of the client's publish, which copies `data` twice and checks each header by itself. Only
        while `connected`. Subjects and headers are ours: no white space in those, no line ends in these. Raises
        errors of the library.
        """
        client = self.client
        if client.is_closed or client.is_draining_pubs:
            raise nats.errors.ConnectionClosedError
        if len(data) > client.max_payload:
            raise nats.errors.MaxPayloadError
        head = append_command(subject, reply, message_id, headers, expect_last, len(data))
        if head is None:
            raise nats.errors.BadSubjectError
        client.stats["out_msgs"] += 1
        client.stats["out_bytes"] += len(data)
        # All three at once, so that nothing comes in between.
        client._pending += (head, data, b"\r\n")
        client._pending_data_size += len(head) + len(data) + 2

    def flush(self) -> None:
        """Gives what was queued to the socket, without a turn of the client's task for it.

        The caller bounds what it posts: here nobody waits for the peer.
        """
        client = self.client
        if not client._pending_data_size or not client.is_connected or client.is_connecting:
            return
        with contextlib.suppress(OSError, RuntimeError, AttributeError):  # it has gone: the client finds out
            client._transport.writelines(client._pending)  # type: ignore[union-attr]
            client._pending, client._pending_data_size = [], 0

    async def subscribe(
        self, subject: str, handler: Callable[[BusMessage], Awaitable[None]], queue: str = ""
    ) -> Subscription:
        """Calls `handler` for each core message, one at a time. Survives reconnects."""

        async def deliver(message: Msg) -> None:
            await handler(BusMessage(message.subject, message.data, message.headers or {}, message.respond))

        return Subscription(await self.client.subscribe(subject, queue=queue, cb=deliver))

    async def request(self, subject: str, data: bytes, timeout_s: float = 2.0) -> bytes:
        """One answer to one question. UnavailableError when nobody answers in time."""
        return (await self._request(subject, data, timeout_s, None)).data

    async def _request(self, subject: str, data: bytes, timeout_s: float, headers: Mapping[str, str] | None) -> Msg:
        """What is asked while the server is away is sent when it is back; its answer has that time once more."""
        try:
            if not self._up.is_set():
                async with asyncio.timeout(timeout_s):
                    await self._up.wait()
            return await _cancellable(
                self.client.request(subject, data, timeout=timeout_s, headers=dict(headers) if headers else None)
            )
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise UnavailableError(f"no answer on {subject.rsplit('.', 1)[0]}: {error!r}") from error

    async def append(
        self,
        subject: str,
        data: bytes,
        *,
        message_id: str,
        headers: Mapping[str, str] | None = None,
        expect_last_subject_sequence: int | None = None,
        deadline_s: float = 5.0,
    ) -> int:
        """Appends durably and returns the stream sequence; the same `message_id` is stored once.

        WrongSequenceError when another writer was faster, UnavailableError when the deadline passed or the
        stream is full (code "log_full").
        """
        sent = append_headers(message_id, headers, expect_last_subject_sequence)
        until = asyncio.get_running_loop().time() + deadline_s
        backoff = Backoff(0.05, 0.5)
        while True:
            try:
                reply = await self._request(subject, data, min(_REQUEST_S, deadline_s), sent)
                return acknowledged_sequence(reply.data)
            except UnavailableError as error:
                if error.code == "log_full" or asyncio.get_running_loop().time() >= until:
                    raise
                await asyncio.sleep(backoff.next_delay())

    async def api(self, verb: str, body: Any = None, *, domain: str = "", timeout_s: float = 3.0) -> Any:
        """One JetStream API call, such as "STREAM.INFO.MEDIA". NearcastError with the server's words."""
        prefix = f"$JS.{domain}.API" if domain else "$JS.API"
        encoded = b"" if body is None else msgspec.json.encode(body)
        answer = msgspec.json.decode(await self.request(f"{prefix}.{verb}", encoded, timeout_s))
        if "error" in answer:
            raise api_error(answer["error"])
        return answer

    async def ensure_stream(self, spec: StreamSpec, *, deadline_s: float = 20.0) -> None:
        """Creates the stream or brings its configuration up to date."""
        await self._persistently(lambda: self._ensure(spec), deadline_s)

    async def ensure_bucket(self, spec: BucketSpec, *, deadline_s: float = 20.0) -> None:
        """Creates the bucket or brings its configuration up to date."""
        await self.ensure_stream(spec.stream(), deadline_s=deadline_s)

    async def _ensure(self, spec: StreamSpec) -> None:
        try:
            await self.api(f"STREAM.INFO.{spec.name}")
        except NotFoundError:
            await self.api(f"STREAM.CREATE.{spec.name}", spec.config())
        else:
            await self.api(f"STREAM.UPDATE.{spec.name}", spec.config())

    async def _persistently(self, work: Callable[[], Awaitable[None]], deadline_s: float) -> None:
        until = asyncio.get_running_loop().time() + deadline_s
        backoff = Backoff(0.05, 0.5)
        while True:
            try:
                return await work()
            except UnavailableError:
                if asyncio.get_running_loop().time() >= until:
                    raise
                await asyncio.sleep(backoff.next_delay())

    async def last_sequence(self, stream: str, *, domain: str = "") -> int:
        """Sequence of the newest message of a stream, 0 when it is empty."""
        return int((await self.api(f"STREAM.INFO.{stream}", domain=domain))["state"]["last_seq"])

    async def is_empty(self, stream: str, *, domain: str = "") -> bool:
        """Whether a stream holds nothing now; it may have, and all of it has expired."""
        return not (await self.api(f"STREAM.INFO.{stream}", domain=domain))["state"]["messages"]

    async def last_message(self, stream: str, subject: str) -> LogMessage | None:
        """The newest message of a subject, or None."""
        return await self._direct(stream, {"last_by_subj": subject})

    async def next_message(self, stream: str, subject: str, sequence: int) -> LogMessage | None:
        """The first message of a subject at `sequence` of the stream or behind it, or None."""
        return await self._direct(stream, {"seq": max(1, sequence), "next_by_subj": subject})

    async def _direct(self, stream: str, wanted: Mapping[str, Any]) -> LogMessage | None:
        body = msgspec.json.encode(wanted)
        message = await self._request(f"$JS.API.DIRECT.GET.{stream}", body, 2.0, None)
        headers = message.headers or {}
        if headers.get("Status"):
            return None
        return LogMessage(int(headers["Nats-Sequence"]), headers["Nats-Subject"], message.data, headers)

    def bucket(self, name: str) -> "Bucket":
        """A key-value bucket by name."""
        return Bucket(self, name)

    def tail(
        self,
        stream: str,
        subjects: Sequence[str],
        start: int = 1,
        *,
        domain: str = "",
        ahead: int = 0,
        every_s: float = 0.0,
    ) -> AsyncIterator[LogMessage]:
        """Every message of `subjects` from stream sequence `start`, in order, without end.

        `domain`: the JetStream domain that holds the stream, when it is not this server's. `ahead`: messages that
        may wait for the reader, 0: as many as is usual. `every_s`: a reader that need not be prompt takes what
        there is every so often, at half the cost of being woken for each message; 0: as they are written.
        """
        from appliance.runtime.tail import AHEAD, Tail  # noqa: PLC0415 - tail needs this module's types

        return Tail(self, stream, subjects, start, domain, ahead or AHEAD, every_s).messages()

    async def close(self) -> None:
        """Sends what is pending and closes."""
        self._left = True
        self._up.set()  # who waits for the connection waits no longer
        if not self.client.is_closed:
            try:
                async with asyncio.timeout(5.0):
                    await self.client.drain()
            except (TimeoutError, OSError, nats.errors.Error):
                # The server is away: nothing to say to it. uvloop raises RuntimeError for a socket that was closed.
                with contextlib.suppress(OSError, RuntimeError, nats.errors.Error):
                    await self.client.close()

    async def _on_error(self, error: Exception) -> None:
        _ERRORS.labels(type(error).__name__).inc()
        if not isinstance(error, OSError | nats.errors.StaleConnectionError | nats.errors.UnexpectedEOF):
            self._log.warning("bus_error", error=repr(error))

    async def _on_disconnected(self) -> None:
        for asked in list(self.client._resp_map.values()):  # the answers can no longer come
            if not asked.done():
                asked.set_exception(nats.errors.ConnectionReconnectingError())
        if not self.client.is_closed and not self.client.is_draining:
            self._up.clear()
            self._log.warning("bus_disconnected")

    async def _on_reconnected(self) -> None:
        self._up.set()
        self.returning.reset()
        self._log.info("bus_reconnected")
        for callback in list(self._reconnected):
            callback()


async def _cancellable(work: Awaitable[Msg]) -> Msg:
    """`work`, cancelled whenever its task is.

    The library waits with wait_for, which in Python 3.11 takes no notice of a cancellation that comes together
    with the answer: who cancelled would then wait for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    answer = await work
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return answer


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a bucket and the revision that wrote it."""

    value: bytes
    revision: int


class Bucket:
    """Key-value on a stream: compare-and-set by revision."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus = bus
        self._stream = f"KV_{name}"
        self._prefix = kept(name, "")

    async def get(self, key: str) -> Entry | None:
        """The value now, or None. UnavailableError when the server is away."""
        message = await self._bus.last_message(self._stream, self._prefix + key)
        if message is None or message.headers.get("KV-Operation"):
            return None
        return Entry(message.data, message.seq)

    async def items(self) -> list[tuple[str, bytes]]:
        """Every key with its value now."""
        state = await self._bus.api(f"STREAM.INFO.{self._stream}", {"subjects_filter": f"{self._prefix}>"})
        keys = sorted(subject[len(self._prefix) :] for subject in state["state"].get("subjects") or {})
        entries = [(key, await self.get(key)) for key in keys]
        return [(key, entry.value) for key, entry in entries if entry is not None]

    async def put(self, key: str, value: bytes) -> int:
        """Writes whatever was there before; returns the revision."""
        return await self._write(key, value, None, {})

    async def create(self, key: str, value: bytes) -> int:
        """Writes a key that does not exist (or was deleted). ConflictError when it does."""
        message = await self._bus.last_message(self._stream, self._prefix + key)
        if message is not None and not message.headers.get("KV-Operation"):
            raise ConflictError("the key exists")
        return await self._write(key, value, message.seq if message else 0, {})

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Writes if `revision` is still the newest. ConflictError when not."""
        return await self._write(key, value, revision, {})

    async def delete(self, key: str, revision: int | None = None, *, forget_s: int = 0) -> None:
        """Removes the key, if `revision` is still the newest where one is given.

        A mark of the removal stays, so that followers who were away learn of it; with `forget_s` not longer.
        """
        ttl = {"Nats-TTL": f"{forget_s}s"} if forget_s else {}
        await self._write(key, b"", revision, {"KV-Operation": "DEL", **ttl})

    async def _write(self, key: str, value: bytes, expected: int | None, headers: dict[str, str]) -> int:
        try:
            return await self._bus.append(
                self._prefix + key,
                value,
                message_id=new_id(),
                headers=headers,
                expect_last_subject_sequence=expected,
                deadline_s=3.0,
            )
        except WrongSequenceError as error:
            raise ConflictError("somebody else wrote the key") from error
