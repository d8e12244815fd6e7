"""A durable pull consumer, possibly in another JetStream domain: how the centre drains an edge's outbox."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from nats.aio.msg import Msg

from appliance.contracts.errors import UnavailableError
from appliance.runtime.bus import Bus
from appliance.runtime.pull import NS, delivery_of, next_request, status_of

_ACK = b"+ACK"
_GRACE_S = 1.0
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
    """Batches of one durable consumer. One user at a time per object."""

    def __init__(self, bus: Bus, stream: str, durable: str, domain: str = "") -> None:
        self._bus = bus
        self._stream = stream
        self._durable = durable
        self._domain = domain
        self._prefix = f"$JS.{domain}.API" if domain else "$JS.API"

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
        inbox: asyncio.Queue[Msg] = asyncio.Queue()

        async def deliver(message: Msg) -> None:
            inbox.put_nowait(message)

        subject = self._bus.client.new_inbox()
        subscription = await self._bus.client.subscribe(subject, cb=deliver)
        try:
            body = msgspec.json.encode(next_request(batch, wait_s))
            verb = f"{self._prefix}.CONSUMER.MSG.NEXT.{self._stream}.{self._durable}"
            await self._bus.client.publish(verb, body, reply=subject)
            return await self._collect(inbox, batch, wait_s)
        finally:
            if self._bus.connected:
                await subscription.unsubscribe()

    async def _collect(self, inbox: "asyncio.Queue[Msg]", batch: int, wait_s: float) -> list[PulledMessage]:
        taken: list[PulledMessage] = []
        pending = 1
        until = asyncio.get_running_loop().time() + wait_s + _GRACE_S
        while len(taken) < batch and pending > 0:
            try:
                async with asyncio.timeout_at(until):  # wait_for of Python 3.11 can lose a cancellation
                    message = await inbox.get()
            except TimeoutError:
                if taken:
                    break
                raise UnavailableError("the outbox does not answer") from None
            delivery = delivery_of(message.reply)
            if delivery is None:
                if status_of(message) in (404, 408):
                    break
                raise UnavailableError(f"the outbox refused: {message.headers}")
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
