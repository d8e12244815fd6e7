"""The hub over the real bus."""

from collections.abc import Awaitable, Callable

from appliance.contracts import subjects
from appliance.runtime.bus import Bucket, Bus, BusMessage
from appliance.runtime.consumer import PullConsumer
from appliance.runtime.streams import BucketSpec


class BusHub:
    """What the coordinator uses of `bus`, a connection to the hub. The caller opens and closes it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def request(self, subject: str, data: bytes, timeout_s: float = 2.0) -> bytes:
        """One answer, over the leaf link when it must. UnavailableError when none comes in time."""
        return await self._bus.request(subject, data, timeout_s)

    async def serve(
        self, subject: str, handler: Callable[[bytes, Callable[[bytes], Awaitable[None]]], Awaitable[None]]
    ) -> None:
        """Answers requests on `subject` as long as the bus lives."""

        async def take(message: BusMessage) -> None:
            await handler(message.data, message.reply)

        await self._bus.subscribe(subject, take, queue="coordinator")

    def directory(self) -> Bucket:
        """What is handed down to every edge."""
        return self._bus.bucket(subjects.DIRECTORY_BUCKET)

    async def ensure_directory(self) -> None:
        """Makes the directory bucket when it is missing. UnavailableError."""
        await self._bus.ensure_bucket(BucketSpec(subjects.DIRECTORY_BUCKET))

    async def outbox(self, edge_id: str) -> PullConsumer:
        """The centre's durable consumer in the edge's domain. UnavailableError while the edge is away."""
        consumer = PullConsumer(self._bus, subjects.outbox(edge_id), subjects.CENTRE_CONSUMER, domain=edge_id)
        await consumer.ensure()
        return consumer
