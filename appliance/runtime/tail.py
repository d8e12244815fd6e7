"""Reading a durable log in order and without end.

A tail is an ephemeral pull consumer that is made anew, from the next sequence, whenever anything is odd:
the connection came back, the server lost the consumer, heartbeats stopped, a number was skipped. The
reader sees none of that: every message of its subjects once, in order.

A server that is killed may lose the last messages of a log that is written behind (`StreamSpec.synced`), and
their writers append them again, at sequences that were used before. So a tail reads a little again when it is made
anew, and leaves out what it knows by its id.
"""

import asyncio
import dataclasses
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import nats.errors
from nats.aio.msg import Msg

from appliance.contracts.errors import NearcastError
from appliance.runtime.backoff import Backoff
from appliance.runtime.bus import Bus, LogMessage
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from appliance.runtime.pull import NS, delivery_of, log_message, next_request, status_of, what_there_is

_RESTARTS = counter("nearcast_tail_restarts_total", "Tails whose consumer was made anew.", ["reason"])
AHEAD = 128
_EXPIRES_S = 30.0
_HEARTBEAT_S = 2.0
_SILENCE_S = 5.0
_IDLE_HEARTBEAT, _NO_MESSAGES, _REQUEST_OVER = 100, 404, 408
_OVERLAP = 512  # far more than a server writes behind


class _Restart(Exception):  # noqa: N818 - not an error of the reader: the consumer is made anew
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Tail:
    """One reader of `subjects` of `stream` from sequence `start`."""

    def __init__(
        self,
        bus: Bus,
        stream: str,
        subjects: Sequence[str],
        start: int,
        domain: str = "",
        ahead: int = AHEAD,
        every_s: float = 0.0,
    ) -> None:
        """`ahead`: messages that may wait here for the reader. `every_s`: between two readings of what there is.

        With `every_s` of 0 they come as they are written.
        """
        self._bus = bus
        self._ahead = ahead
        self._domain = domain
        self._prefix = f"$JS.{domain}.API" if domain else "$JS.API"
        self._stream = stream
        self._subjects = list(subjects)
        self._start = self._next = max(1, start)
        self._made = ""  # when the stream was created
        self._is_anew = False
        self._known: dict[str, int] = {}  # sequences of the last messages by their ids
        self._queue: deque[Msg] = deque()  # bounded by the credit: no more than was asked for
        self._wake = asyncio.Event()
        self._broken = ""
        self._consumer = ""
        self._inbox = ""
        self._credit = 0
        self._every_s = every_s
        self._rests = False
        self._consumer_seq = 0
        self._log = get_logger("tail").bind(stream=stream)

    async def messages(self) -> AsyncIterator[LogMessage]:
        """The messages. Ends only by being closed, or with the bus."""
        backoff = Backoff(0.02, 1.0)
        self._bus.add_reconnected(self._on_reconnected)
        try:
            while True:
                subscription = None
                try:
                    self._reset()
                    subscription = await self._bus.client.subscribe(self._inbox, cb=self._on_message)
                    await self._create()
                    while True:
                        yield await self._one()
                        backoff.reset()
                except _Restart as restart:
                    _RESTARTS.labels(restart.reason).inc()
                except (NearcastError, nats.errors.Error, OSError) as error:
                    _RESTARTS.labels("unavailable").inc()
                    self._log.debug("tail_waits", error=repr(error))
                    if self._bus.left:
                        return
                    if self._bus.closed:
                        raise
                finally:
                    if subscription is not None and self._bus.connected:
                        await subscription.unsubscribe()
                await asyncio.sleep(backoff.next_delay())
        finally:
            self._bus.remove_reconnected(self._on_reconnected)

    def _reset(self) -> None:
        self._inbox = self._bus.client.new_inbox()
        self._queue.clear()
        self._broken = ""
        self._credit = 0
        self._rests = False
        self._consumer_seq = 0

    async def _create(self) -> None:
        info = await self._bus.api(f"STREAM.INFO.{self._stream}", domain=self._domain)
        config: dict[str, Any] = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self._first(str(info["created"]), info["state"]["last_seq"]),
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "inactive_threshold": int(15 * NS),
            "mem_storage": True,
            "num_replicas": 1,
        }
        if len(self._subjects) == 1:
            config["filter_subject"] = self._subjects[0]
        else:
            config["filter_subjects"] = self._subjects
        body = {"stream_name": self._stream, "config": config}
        made = await self._bus.api(f"CONSUMER.CREATE.{self._stream}", body, domain=self._domain)
        self._consumer = made["name"]
        await self._ask()

    def _first(self, made: str, last: int) -> int:
        """The sequence to begin at, in a stream that was created at `made` and ends with `last`."""
        if self._made and made != self._made:
            self._log.warning("log_was_made_anew", expected=self._next, last=last)
            self._start = self._next = 1
            self._is_anew = True
            self._known.clear()
        elif last < self._next - 1:
            self._log.warning("log_lost_its_end", expected=self._next, last=last)
        self._made = made
        if not self._known:
            return self._next
        return max(self._start, min(self._next, last + 1) - _OVERLAP)

    async def _ask(self) -> None:
        if self._rests or self._credit > self._ahead // 2:
            return
        batch = self._ahead - self._credit
        self._credit += batch
        wanted = what_there_is(batch) if self._every_s else next_request(batch, _EXPIRES_S, _HEARTBEAT_S)
        body = msgspec.json.encode(wanted)
        subject = f"{self._prefix}.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        await self._bus.client.publish(subject, body, reply=self._inbox)

    async def _one(self) -> LogMessage:
        while True:
            while self._queue:
                message = self._read(self._queue.popleft())
                await self._ask()
                if message is not None:
                    return message
            if self._broken:
                raise _Restart(self._broken)
            if self._rests:
                await self._rest()
            elif not await self._woken(_SILENCE_S):
                raise _Restart("silence")

    async def _woken(self, within_s: float) -> bool:
        self._wake.clear()
        try:
            async with asyncio.timeout(within_s):  # wait_for of Python 3.11 can lose a cancellation
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def _rest(self) -> None:
        """Until it is time to read on."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._every_s
        while not self._broken and (left_s := until - loop.time()) > 0:
            await self._woken(left_s)
        self._rests = False
        if not self._broken:
            await self._ask()

    def _read(self, message: Msg) -> LogMessage | None:
        delivery = delivery_of(message.reply)
        if delivery is None:
            status = status_of(message)
            if self._every_s and status in (_NO_MESSAGES, _REQUEST_OVER):
                self._credit, self._rests = 0, True  # that was all there is
            elif status == _REQUEST_OVER:
                unfilled = (message.headers or {}).get("Nats-Pending-Messages", "0")
                self._credit -= int(unfilled) if unfilled.isdigit() else self._ahead
            elif status != _IDLE_HEARTBEAT:
                raise _Restart(f"status_{status}")
            return None
        if delivery.consumer_seq != self._consumer_seq + 1:
            raise _Restart("skipped")
        self._credit = max(0, self._credit - 1)
        self._consumer_seq = delivery.consumer_seq
        identity = (message.headers or {}).get("Nats-Msg-Id", "")
        if identity in self._known or (not identity and delivery.stream_seq < self._next):
            return None
        self._remember(identity, delivery.stream_seq)
        self._next = delivery.stream_seq + 1
        found = log_message(message, delivery)
        if self._is_anew:
            self._is_anew = False
            return dataclasses.replace(found, anew=True)
        return found

    def _remember(self, identity: str, sequence: int) -> None:
        if identity:
            self._known[identity] = sequence
            if len(self._known) > _OVERLAP:
                del self._known[next(iter(self._known))]

    async def _on_message(self, message: Msg) -> None:
        self._queue.append(message)
        self._wake.set()

    def _on_reconnected(self) -> None:
        self._broken = "reconnected"
        self._wake.set()
