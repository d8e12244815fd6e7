"""Whether anything is still to be written, for who waits until there is nothing."""

import asyncio


class Backlog:
    """Empty at first."""

    def __init__(self) -> None:
        self._empty = asyncio.Event()
        self._empty.set()

    def fill(self) -> None:
        """There is something."""
        self._empty.clear()

    def drained(self) -> None:
        """There is nothing any more."""
        self._empty.set()

    async def flushed(self, deadline_s: float) -> bool:
        """Waits until everything is written; False when it is not in time."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
