"""The little of the bus that the coordinator uses, so that each part says what it needs and no more.

Implemented by appliance.runtime; every method raises UnavailableError while the bus is away.
"""

from collections.abc import Mapping
from typing import Protocol


class Entry(Protocol):
    """A value of the bucket as it is now."""

    @property
    def value(self) -> bytes: ...


class Bucket(Protocol):
    """A key-value bucket."""

    async def get(self, key: str) -> Entry | None: ...
    async def put(self, key: str, value: bytes, /) -> int: ...
    async def delete(self, key: str) -> None: ...
    async def keys(self) -> list[str]: ...


class PulledMessage(Protocol):
    """One entry of an outbox; it is delivered again until it is acknowledged."""

    @property
    def seq(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    async def ack(self) -> None: ...


class PullConsumer(Protocol):
    """A durable pull consumer in an edge's JetStream domain."""

    async def fetch(self, batch: int, wait_s: float) -> list[PulledMessage]: ...


class Bus(Protocol):
    """One connection to the hub."""

    async def request(self, subject: str, data: bytes, timeout_s: float = 2.0) -> bytes: ...
    def bucket(self, name: str) -> Bucket: ...
    async def pull_consumer(self, stream: str, durable: str, *, domain: str) -> PullConsumer: ...
