"""How much a room, and all rooms together, may say: shares leased from a counter that all gateways use.

A gateway takes a share of what a room may say in one call and spends it without asking; the next share is fetched
before that one is used up, so no message waits for the counter. While the counter is away each key goes on with a
last share: as much as one process may say in the time by itself.
"""

import asyncio
import contextlib
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import redis.asyncio
import redis.exceptions

from appliance.runtime.logs import get_logger
from edge.chat.metrics import QUOTA_AWAY, Tally

ALL_ROOMS = "all"
_SHARE = 50  # messages of one lease
_LOW = 20
_KEYS = 10_000
_SHARED_S = 0.5
_AWAY_S = 2.0
_PREFIX = "chat:quota:"
_LEASE = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
if tat < now then tat = now end
local free = math.floor((now + interval * burst - tat) / interval)
local given = math.min(wanted, math.max(0, free))
if given > 0 then
  tat = tat + interval * given
  redis.call('SET', KEYS[1], string.format('%d', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
  return {given, 0}
end
return {0, math.ceil(tat + interval - interval * burst - now)}
"""


class Lessor(Protocol):
    """What gives shares."""

    async def lease(self, key: str, per_minute: int, wanted: int) -> tuple[int, float]:
        """How many messages are given, and without any the seconds until there are. OSError: it is away."""

    async def close(self) -> None:
        """Ends the connection."""


class RedisLessor:
    """GCRA in one script on Redis 7.0 or Valkey, by the server's clock."""

    def __init__(self, url: str) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url, socket_timeout=_SHARED_S, socket_connect_timeout=_SHARED_S, max_connections=2
        )
        self._script = self._client.register_script(_LEASE)

    async def lease(self, key: str, per_minute: int, wanted: int) -> tuple[int, float]:
        """See Lessor."""
        try:
            found = await self._script(keys=[_PREFIX + key], args=[60_000_000 // per_minute, per_minute, wanted])
        except redis.exceptions.RedisError as error:
            raise OSError(str(error)) from error
        return int(found[0]), int(found[1]) / 1_000_000

    async def close(self) -> None:
        """See Lessor."""
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            await self._client.aclose()


class _Share:
    __slots__ = ("asking", "closed_until", "left", "own", "refilled")

    def __init__(self, now: float, own: float) -> None:
        self.left = 0.0
        self.closed_until = 0.0  # the counter said that there is nothing until then
        self.asking = False
        self.own = own  # of the process by itself: messages at once, refilled in a minute
        self.refilled = now


class Quotas:
    """`per_room` and `overall` in messages a minute. Without a lessor each process counts alone.

    `away`: the lessor did not answer last time; said in a metric and in the log.
    """

    def __init__(
        self,
        per_room: int,
        overall: int,
        lessor: Lessor | None,
        tally: Tally,
    ) -> None:
        self.away = False
        self._limits = {True: overall, False: per_room}
        self._log = get_logger("chat")
        self._lessor = lessor
        self._tally = tally
        self._shares: OrderedDict[str, _Share] = OrderedDict()
        self._wanted: asyncio.Queue[str] = asyncio.Queue(_KEYS)

    def take(self, room_id: str, now: float) -> float:
        """0 when a message may go to the room, which then counts; else the seconds until one may."""
        shares = [self._share(ALL_ROOMS, now), self._share(room_id, now)]
        for key, share in zip((ALL_ROOMS, room_id), shares, strict=True):
            self._refill(key, share, now)
            if self._has(share, now) < 1:
                return max(0.05, share.closed_until - now, (1 - share.own) * 60 / self._limit(key))
        for key, share in zip((ALL_ROOMS, room_id), shares, strict=True):
            self._spend(key, share, now)
        return 0.0

    def _limit(self, key: str) -> int:
        return self._limits[key == ALL_ROOMS]

    def _share(self, key: str, now: float) -> _Share:
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = _Share(now, float(self._limit(key)))
            if len(self._shares) > _KEYS:
                self._shares.popitem(last=False)
        self._shares.move_to_end(key)
        return share

    def _refill(self, key: str, share: _Share, now: float) -> None:
        most = float(self._limit(key))
        share.own = min(most, share.own + (now - share.refilled) * most / 60)
        share.refilled = now

    def _has(self, share: _Share, now: float) -> float:
        """Leased messages; without them, unless the counter has said no, those of the process by itself."""
        if share.left >= 1 or now < share.closed_until:
            return share.left
        return share.own

    def _spend(self, key: str, share: _Share, now: float) -> None:
        share.own = max(0.0, share.own - 1)
        share.left -= 1  # below zero: said while the share was on its way, and leased with the next
        wanted = share.left < _LOW and not share.asking and now >= share.closed_until
        if wanted and self._lessor is not None and not self._wanted.full():
            share.asking = True
            self._wanted.put_nowait(key)

    async def run(self, clock: Callable[[], float]) -> None:
        """Fetches shares, for ever."""
        if self._lessor is None:
            return
        while True:
            key = await self._wanted.get()
            share = self._shares.get(key)
            if share is None:
                continue
            share.asking = False
            try:
                wanted = _SHARE + max(0, int(-share.left))
                given, wait_s = await self._lessor.lease(key, self._limit(key), wanted)
            except OSError:
                share.left = 0.0
                self._tally.events["quota_away"] += 1
                self._note(away=True)
                await asyncio.sleep(_AWAY_S * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
                continue
            self._note(away=False)
            share.left += given
            if not given:
                share.closed_until = clock() + wait_s

    def _note(self, *, away: bool) -> None:
        if away != self.away:
            self.away = away
            QUOTA_AWAY.set(away)
            self._log.warning("chat_quota_away" if away else "chat_quota_back")

    async def close(self) -> None:
        """Ends the lessor's connection."""
        if self._lessor is not None:
            await self._lessor.close()
