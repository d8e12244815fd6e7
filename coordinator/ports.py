"""The little of the bus that the coordinator uses, so that each part says what it needs and no more.

`coordinator.hub` implements it over appliance.runtime, tests in memory. Every method raises
UnavailableError while the bus is away.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol


class Bucket(Protocol):
    """A key-value bucket."""

    async def get(self, key: str) -> object: ...
    async def put(self, key: str, value: bytes, /) -> int: ...
    async def delete(self, key: str, *, forget_s: int = 0) -> None: ...
    async def items(self) -> list[tuple[str, bytes]]: ...


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

    async def fetch(self, batch: int, wait_s: float) -> Sequence[PulledMessage]: ...
    async def close(self) -> None: ...


class Hub(Protocol):
    """The bus as seen from the centre."""

    async def request(self, subject: str, data: bytes, timeout_s: float = 2.0) -> bytes: ...
    async def serve(
        self, subject: str, handler: Callable[[bytes, Callable[[bytes], Awaitable[None]]], Awaitable[None]]
    ) -> None:
        """Calls `handler` with each request and what answers it, one at a time; with others of the same kind one
        of them is called."""

    def directory(self) -> Bucket: ...
    async def ensure_directory(self) -> None:
        """Makes the directory bucket when it is missing."""

    async def outbox(self, edge_id: str) -> PullConsumer:
        """The centre's durable consumer of an edge's outbox, made when it is missing."""
