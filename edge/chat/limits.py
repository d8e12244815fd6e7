"""How often a user may speak, on this process and, where a shared counter is, on all of them."""

import asyncio
from collections import OrderedDict
from typing import Protocol

import redis.asyncio
import redis.exceptions

from edge.chat.metrics import Tally

_USERS = 100_000
_QUEUED = 1000
_SHARED_S = 0.5
_AWAY_S = 2.0
_PREFIX = "chat:rate:"
_TAKE = """
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
local taken = math.max(stored, tonumber(ARGV[1])) + tonumber(ARGV[2])
redis.call('SET', KEYS[1], taken, 'PX', ARGV[3])
return taken
"""


class UserLimit:
    """GCRA: `per_minute` messages at once after a silence, and one more each 60/per_minute s; for those who may
    write `faster` times as fast, as many more in the same time.

    Times are wall clock milliseconds, so that processes can compare them. At most _USERS are remembered:
    the longest silent one is forgotten first.
    """

    def __init__(self, per_minute: int) -> None:
        self.interval_ms = 60_000 / per_minute
        self._arrivals: OrderedDict[str, float] = OrderedDict()  # theoretical arrival times

    def take(self, user_id: str, now_ms: int, faster: int = 1) -> float:
        """0 when the user may speak, which then counts; else the seconds until it may."""
        interval_ms = self.interval_ms / faster
        arrival = max(self._arrivals.get(user_id, 0.0), now_ms)
        wait_ms = arrival - now_ms - (60_000 - interval_ms)
        if wait_ms > 0:
            return wait_ms / 1000
        self._set(user_id, arrival + interval_ms)
        return 0.0

    def merge(self, user_id: str, arrival_ms: float) -> None:
        """What all processes together have counted."""
        if arrival_ms > self._arrivals.get(user_id, 0.0):
            self._set(user_id, arrival_ms)

    def _set(self, user_id: str, arrival_ms: float) -> None:
        self._arrivals[user_id] = arrival_ms
        self._arrivals.move_to_end(user_id)
        if len(self._arrivals) > _USERS:
            self._arrivals.popitem(last=False)


class Counter(Protocol):
    """A counter that all gateways share."""

    async def take(self, user_id: str, now_ms: int, interval_ms: float) -> float:
        """Adds one message; the theoretical arrival time. OSError when it is away."""

    async def close(self) -> None:
        """Ends the connection."""


class ValkeyCounter:
    """In Redis or Valkey."""

    def __init__(self, url: str) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url, socket_timeout=_SHARED_S, socket_connect_timeout=_SHARED_S, max_connections=2
        )
        self._script = self._client.register_script(_TAKE)

    async def take(self, user_id: str, now_ms: int, interval_ms: float) -> float:
        """See Counter."""
        try:
            taken = await self._script(keys=[_PREFIX + user_id], args=[now_ms, int(interval_ms), 120_000])
        except redis.exceptions.RedisError as error:
            raise OSError(str(error)) from error
        return float(taken)

    async def close(self) -> None:
        """See Counter."""
        await self._client.aclose()


class SharedLimit:
    """The process's own limit, corrected by the shared counter behind its back.

    A message never waits for the counter: the process decides, tells the counter, and takes over its higher
    count for the next decision. Away, full or slow, it costs nothing but the correction.
    """

    def __init__(self, limit: UserLimit, counter: Counter | None, tally: Tally) -> None:
        self._limit = limit
        self._counter = counter
        self._tally = tally
        self._told: asyncio.Queue[tuple[str, int, int]] = asyncio.Queue(_QUEUED)

    def take(self, user_id: str, now_ms: int, faster: int = 1) -> float:
        """As UserLimit.take."""
        wait_s = self._limit.take(user_id, now_ms, faster)
        if not wait_s and self._counter is not None and not self._told.full():
            self._told.put_nowait((user_id, now_ms, faster))
        return wait_s

    async def run(self) -> None:
        """Keeps the counter informed, for ever."""
        if self._counter is None:
            return
        while True:
            user_id, now_ms, faster = await self._told.get()
            interval_ms = self._limit.interval_ms / faster
            try:
                self._limit.merge(user_id, await self._counter.take(user_id, now_ms, interval_ms))
            except OSError:
                self._tally.events["counter_away"] += 1
                while not self._told.empty():
                    self._told.get_nowait()
                await asyncio.sleep(_AWAY_S)

    async def close(self) -> None:
        """Ends the counter's connection."""
        if self._counter is not None:
            await self._counter.close()


class Budget:
    """Token bucket: `rate` a second, `burst` at once."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = now

    def spend(self, amount: float, now: float) -> bool:
        """Whether there was enough; what is spent is gone either way."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate) - amount
        self._at = now
        return self._left >= 0
