"""A durable pull consumer, possibly in another JetStream domain: how the centre drains an edge's outbox."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from appliance.contracts.errors import UnavailableError
from appliance.runtime.bus import Bus
from appliance.runtime.pull import NS, delivery_of, next_request, status_of

_ACK = b"+ACK"
_EXPIRES_S = 30.0
_HEARTBEAT_S = 1.0
_SILENCE_S = 2.5  # without a heartbeat: the link was cut, and the request may be lost
_IDLE_HEARTBEAT, _NO_MESSAGES, _REQUEST_OVER = 100, 404, 408
ACK_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class PulledMessage:
    """A message that is redelivered until it is acknowledged."""

    seq: int
    subject: str
    data: bytes
    reply: str
    bus: Bus
    headers: Mapping[str, str] = field(default_factory=dict)

    async def ack(self) -> None:
        """Says that its effect is durable."""
        await self.bus.publish(self.reply, _ACK)


class PullConsumer:
    """Batches of one durable consumer. One user at a time per object.

    What a request asked for beyond what there was stays asked for, in the same inbox: an edge's server would go on
    serving a request whose inbox is gone for some seconds, and what it gives away so comes again only after the
    acknowledgement is overdue.
    """

    def __init__(self, bus: Bus, stream: str, durable: str, domain: str = "") -> None:
        self._bus = bus
        self._stream = stream
        self._durable = durable
        self._domain = domain
        self._prefix = f"$JS.{domain}.API" if domain else "$JS.API"
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._queue: deque[Msg] = deque()  # bounded by the credit: no more than was asked for
        self._wake = asyncio.Event()
        self._credit = 0
        self._heard_at = 0.0

    async def ensure(self, ack_wait_s: float = ACK_WAIT_S, max_pending: int = 10_000) -> None:
        """Creates the consumer where it is missing. UnavailableError when the domain is away.

        A request that was waiting when its process or link died still takes the next message with it, which
        comes again only after `ack_wait_s`: that is how long a killed reader can hold a message up. Readers
        apply each message once, so one that comes twice because its commit took longer does no harm.
        """
        config = {
            "durable_name": self._durable,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": int(ack_wait_s * NS),
            "max_ack_pending": max_pending,
            "max_deliver": -1,
            "replay_policy": "instant",
        }
        body = {"stream_name": self._stream, "config": config}
        verb = f"CONSUMER.DURABLE.CREATE.{self._stream}.{self._durable}"
        await self._bus.api(verb, body, domain=self._domain)

    async def fetch(self, batch: int, wait_s: float) -> list[PulledMessage]:
        """Up to `batch` messages; waits up to `wait_s` for the first. Empty when there is nothing.

        UnavailableError when the domain does not answer or the consumer is gone.
        """
        try:
            return await self._fetch(batch, asyncio.get_running_loop().time() + wait_s)
        except (nats.errors.Error, OSError) as error:
            await self.close()
            raise UnavailableError("the outbox cannot be asked") from error
        except UnavailableError:
            await self.close()
            raise

    async def close(self) -> None:
        """Asks for nothing any more. What was on its way is delivered again later."""
        subscription, self._subscription = self._subscription, None
        self._queue.clear()
        self._credit = 0
        if subscription is not None and self._bus.connected:
            await subscription.unsubscribe()

    async def _fetch(self, batch: int, until: float) -> list[PulledMessage]:
        if self._subscription is None:
            self._inbox = self._bus.client.new_inbox()
            self._subscription = await self._bus.client.subscribe(self._inbox, cb=self._on_message)
        taken: list[PulledMessage] = []
        pending = 1
        while len(taken) < batch and pending > 0:
            if not self._queue and not self._credit:
                if taken:
                    break
                await self._ask(batch)
            if not self._queue and not await self._something(until):
                break
            message = self._queue.popleft()
            delivery = delivery_of(message.reply)
            if delivery is None:
                self._status(message)
                continue
            self._credit -= 1
            pending = delivery.pending
            taken.append(
                PulledMessage(
                    delivery.stream_seq,
                    message.subject,
                    message.data,
                    message.reply,
                    self._bus,
                    message.headers or {},
                )
            )
        return taken

    async def _ask(self, batch: int) -> None:
        self._credit = batch
        self._heard_at = asyncio.get_running_loop().time()
        body = msgspec.json.encode(next_request(batch, _EXPIRES_S, _HEARTBEAT_S))
        verb = f"{self._prefix}.CONSUMER.MSG.NEXT.{self._stream}.{self._durable}"
        await self._bus.client.publish(verb, body, reply=self._inbox)

    async def _something(self, until: float) -> bool:
        """Whether a message came until then. UnavailableError when not even a heartbeat does."""
        loop = asyncio.get_running_loop()
        while not self._queue:
            now = loop.time()
            if not self._bus.connected or now >= self._heard_at + _SILENCE_S:
                raise UnavailableError("the outbox does not answer")
            if now >= until:
                return False
            self._wake.clear()
            try:
                # wait_for of Python 3.11 can lose a cancellation
                async with asyncio.timeout_at(min(until, self._heard_at + _SILENCE_S)):
                    await self._wake.wait()
            except TimeoutError:
                continue
        return True

    def _status(self, message: Msg) -> None:
        """The request is over. UnavailableError: for a reason that a new one would not mend."""
        status, headers = status_of(message), message.headers or {}
        if status not in (_NO_MESSAGES, _REQUEST_OVER):
            raise UnavailableError(f"the outbox refused: {headers}")
        unfilled = headers.get("Nats-Pending-Messages", "")
        self._credit = max(0, self._credit - int(unfilled)) if unfilled.isdigit() else 0

    async def _on_message(self, message: Msg) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if status_of(message) != _IDLE_HEARTBEAT:
            self._queue.append(message)
        self._wake.set()
