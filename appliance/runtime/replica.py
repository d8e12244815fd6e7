"""An in-memory copy of a bucket, kept fresh: reads cost nothing and go on while the server is away."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from appliance.contracts.errors import UnavailableError
from appliance.contracts.subjects import kept
from appliance.runtime.bus import Bus, LogMessage
from appliance.runtime.tasks import Tasks

_READY_S = 30.0
_LOOK_S = 0.2


class Replica:
    """The bucket as it was a moment ago. `on_change(key, value or None)` runs after each change.

    With `kinds` only of keys that begin with one of these words and a dot: what is written about others, the server
    need not send.
    """

    def __init__(
        self,
        bus: Bus,
        bucket: str,
        on_change: Callable[[str, bytes | None], None] | None = None,
        *,
        kinds: Sequence[str] = (),
        domain: str = "",
        on_anew: Callable[[], None] | None = None,
    ) -> None:
        """`kinds` for a bucket of this server only. `on_anew`: the bucket was lost and made again."""
        self._bus = bus
        self._domain = domain
        self._stream = f"KV_{bucket}"
        self._prefix = kept(bucket, "")
        self._parts = [f"{self._prefix}{kind}.>" for kind in kinds]
        self._on_change = on_change
        self._on_anew = on_anew
        self._values: dict[str, bytes] = {}
        self._complete = asyncio.Event()
        self._target = 0
        self._tasks = Tasks()

    async def start(self, deadline_s: float | None = _READY_S) -> None:
        """Returns when everything that was in the bucket is here. UnavailableError at the deadline."""
        try:
            async with asyncio.timeout(deadline_s):
                self._target = await self._last()
                self._tasks.start(self._follow(), f"replica-{self._stream}")
                if self._target and not (self._parts and await self._has_nothing()):
                    await self._completed()
        except TimeoutError:
            raise UnavailableError(f"no copy of {self._stream}") from None

    async def _completed(self) -> None:
        """Waits for the last message, or until there is none of ours any more: values may have a time to live."""
        waiting = asyncio.ensure_future(self._complete.wait())
        try:
            while not (await asyncio.wait({waiting}, timeout=_LOOK_S))[0]:
                with contextlib.suppress(UnavailableError):
                    if await self._has_nothing():
                        return
        finally:
            waiting.cancel()

    async def _has_nothing(self) -> bool:
        for subject in self._parts:
            if await self._bus.next_message(self._stream, subject, 1) is not None:
                return False
        return bool(self._parts) or await self._bus.is_empty(self._stream, domain=self._domain)

    async def _last(self) -> int:
        while True:
            try:
                return await self._bus.last_sequence(self._stream, domain=self._domain)
            except UnavailableError:
                await asyncio.sleep(0.1)

    async def _follow(self) -> None:
        async for message in self._bus.tail(self._stream, self._parts or [f"{self._prefix}>"], domain=self._domain):
            if message.anew:  # what we hold may no longer be true
                self._forget()
                if self._on_anew is not None:
                    self._on_anew()
            self._apply(message)
            if message.seq >= self._target or message.pending == 0:
                self._complete.set()

    def _forget(self) -> None:
        for key in list(self._values):
            self._change(key, None)

    def _apply(self, message: LogMessage) -> None:
        deleted = bool(message.headers.get("KV-Operation"))
        self._change(message.subject[len(self._prefix) :], None if deleted else message.data)

    def _change(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value
        if self._on_change is not None:
            self._on_change(key, value)

    def get(self, key: str) -> bytes | None:
        """The value as last heard."""
        return self._values.get(key)

    def items(self, prefix: str) -> list[tuple[str, bytes]]:
        """Keys and values below a prefix."""
        return [(key, value) for key, value in self._values.items() if key.startswith(prefix)]

    async def close(self) -> None:
        """Stops following."""
        await self._tasks.close()
