"""What sessions and their writers ask of the log's appender."""

import asyncio
from collections.abc import Mapping
from typing import Protocol


class Appends(Protocol):
    """The process's Appender, as sessions need it."""

    @property
    def pending_bytes(self) -> int:
        """Queued or in flight."""

    def tick_soon(self) -> None:
        """The next tick comes as early as one may."""

    def append(
        self,
        subject: str,
        data: bytes,
        *,
        message_id: str,
        headers: Mapping[str, str],
        expect_last: int | None = None,
    ) -> "asyncio.Future[int]":
        """Queues an append behind the earlier ones of its subject; the future is the stream sequence."""
