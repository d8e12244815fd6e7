"""What a child tells on the descriptor that it was given: a line when it is ready, then a byte every second."""

import asyncio
import contextlib
import os

_MOST = 4096


class Pulse:
    """Reads it. A child that closed its descriptor tells nothing any more, and that says nothing about it."""

    def __init__(self, reading: int) -> None:
        """`reading`: the descriptor to read from, which is closed by `close`."""
        self._reading = reading
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        self._heard_at: float | None = None  # the last byte behind the line
        os.set_blocking(reading, False)
        self._loop.add_reader(reading, self._read)

    async def ready(self) -> None:
        """Returns when the child is ready; never when it closed its descriptor before."""
        await self._told.wait()

    def silent_s(self) -> float:
        """Seconds since the child last told that it lives; 0 for one that never has, or does not any more."""
        self._read()
        return 0.0 if self._heard_at is None else self._loop.time() - self._heard_at

    def _read(self) -> None:
        if self._reading < 0:
            return
        try:
            data = os.read(self._reading, _MOST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        if self._told.is_set() or len(data) > data.find(b"\n") + 1:
            self._heard_at = self._loop.time()
        self._told.set()

    def close(self) -> None:
        """May be called more than once."""
        if self._reading < 0:
            return
        self._loop.remove_reader(self._reading)
        with contextlib.suppress(OSError):
            os.close(self._reading)
        self._reading, self._heard_at = -1, None
