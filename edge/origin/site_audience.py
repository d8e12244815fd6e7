"""Who watches at the whole site: what every origin process tells the others, put together.

Each process writes the hashes of its sessions to the lease bucket, every 0.8 s while it has any, and every one
adds up what it has heard: a union, so a viewer whose connections lie with several processes counts once. A set
was chosen rather than giving each session to one process: nothing has to be forwarded, any process can answer
any document, and what a dead process told is forgotten by the bucket. It is bounded by `MOST_SESSIONS`, 13 bytes
each.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import NamedTuple

import msgspec

from appliance.contracts.audience import (
    ANONYMOUS,
    ASKS,
    LEFT,
    TELLS,
    AudienceRecord,
    BroadcastAudience,
    unpack_sessions,
)
from appliance.contracts.errors import UnavailableError
from appliance.contracts.subjects import LEASE_BUCKET, viewers_key
from appliance.runtime.bus import Bus
from appliance.runtime.tasks import Tasks
from edge.origin.audience import Audience
from edge.origin.metrics import VIEWERS, Tally

HEARD_S = 2.5  # the bucket forgets after two seconds; the last word may be on its way
_ALIVE_S = 0.8
_COUNTED_S = 0.5  # how long a count holds where there is much to count
_MUCH = 256
_HERE = TELLS | ASKS
_NOBODY = BroadcastAudience()


class _Heard(NamedTuple):
    record: AudienceRecord
    at: float


def count(audiences: Collection[BroadcastAudience]) -> int:
    """Viewers of one broadcast, from what each process of the site has seen of it."""
    marks: dict[int, int] = {}
    places: dict[int, int] = {}  # of those that may be among the anonymous as well
    anonymous: dict[int, int] = {}
    for audience in audiences:
        for session, place, mark in unpack_sessions(audience.sessions):
            marks[session] = marks.get(session, 0) | mark
            if mark & ANONYMOUS:
                places[session] = place
        for place, seen in audience.anonymous.items():
            anonymous[place] = anonymous.get(place, 0) + seen
    for session, place in places.items():
        if not marks[session] & ASKS and anonymous.get(place):
            anonymous[place] -= 1
    sessions = sum(1 for mark in marks.values() if mark & _HERE and not mark & LEFT)
    return sessions + sum(anonymous.values())


class SiteAudience:
    """What this process knows of the site's viewers. `clock` in monotonic seconds."""

    def __init__(self, audience: Audience, origin: str, tally: Tally, clock: Callable[[], float]) -> None:
        self.mine = audience
        self.origin = origin
        self._tally = tally
        self._clock = clock
        self._heard: dict[str, _Heard] = {}
        self._counted: dict[str, tuple[float, int]] = {}

    def heard(self, key: str, value: bytes | None) -> None:
        """A key of the lease bucket was written or deleted."""
        if not key.startswith(viewers_key("")):
            return
        origin = key.removeprefix(viewers_key(""))
        if value is None:
            self._heard.pop(origin, None)
        elif origin != self.origin:
            try:
                self._heard[origin] = _Heard(msgspec.msgpack.decode(value, type=AudienceRecord), self._clock())
            except msgspec.MsgspecError:
                self._tally.event("bad_record")

    def viewers(self, broadcast_id: str) -> int:
        """Viewers of a broadcast at the whole site."""
        now = self._clock()
        at, known = self._counted.get(broadcast_id, (float("-inf"), 0))
        if now - at < _COUNTED_S and self.mine.size(broadcast_id) > _MUCH:
            return known
        return self._count(broadcast_id, self.mine.seen_of(broadcast_id, now), now)

    def count_all(self, mine: AudienceRecord | None = None) -> dict[str, int]:
        """Viewers by broadcast at the whole site; those of which nobody is seen are left out.

        `mine` is what `record` gave in this moment, if it was asked.
        """
        now = self._clock()
        seen = (mine or self.record(now)).broadcasts
        self._counted = {}
        names = set(seen).union(*(one.broadcasts for one in self._others(now)))
        counts = {name: self._count(name, seen.get(name, _NOBODY), now) for name in names}
        return {name: counted for name, counted in counts.items() if counted}

    def _count(self, broadcast_id: str, mine: BroadcastAudience, now: float) -> int:
        found = [one.broadcasts[broadcast_id] for one in self._others(now) if broadcast_id in one.broadcasts]
        counted = count([mine, *found])
        self._counted[broadcast_id] = now, counted
        return counted

    def has_company(self, now: float) -> bool:
        """Whether somebody else has viewers: they must hear of this process to know who speaks for the site."""
        return any(one.broadcasts for one in self._others(now))

    def leads(self, now: float) -> bool:
        """Whether this process speaks for the site: while anybody has viewers, one origin does."""
        return all(self.origin < one.origin for one in self._others(now))

    def by_rendition(self, broadcast_id: str, now: float) -> dict[str, int]:
        """Sessions by rendition that no other process counts: over all processes each counts once."""
        taken = frozenset(
            session
            for one in self._others(now)
            if one.origin < self.origin and broadcast_id in one.broadcasts
            for session, _, mark in unpack_sessions(one.broadcasts[broadcast_id].sessions)
            if mark & ASKS
        )
        return self.mine.by_rendition(broadcast_id, taken, now)

    def record(self, now: float) -> AudienceRecord:
        """What the others are told."""
        return AudienceRecord(self.origin, self.mine.seen(now))

    def _others(self, now: float) -> list[AudienceRecord]:
        self._heard = {name: one for name, one in self._heard.items() if now - one.at < HEARD_S}
        return [one.record for one in self._heard.values()]


class AudienceTeller:
    """Tells the site what this process sees, and the metrics what the site sees."""

    def __init__(
        self, local: Bus, audience: SiteAudience, on_failure: Callable[[BaseException], None] | None
    ) -> None:
        self._bucket = local.bucket(LEASE_BUCKET)
        self._audience = audience
        self._tasks = Tasks(on_failure)

    def start(self) -> None:
        """Begins."""
        self._tasks.start(self._run(), "tell-viewers")

    async def close(self) -> None:
        """Ends: what was told is forgotten by itself."""
        await self._tasks.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        told = False
        while True:
            await asyncio.sleep(_ALIVE_S)
            now = loop.time()
            record = self._audience.record(now)
            VIEWERS.set(sum(self._audience.count_all(record).values()) if self._audience.leads(now) else 0)
            if record.broadcasts or told or self._audience.has_company(now):
                with contextlib.suppress(UnavailableError):  # the next round tells it
                    data = msgspec.msgpack.encode(record)
                    await self._bucket.put(viewers_key(self._audience.origin), data)
                    told = bool(record.broadcasts)
