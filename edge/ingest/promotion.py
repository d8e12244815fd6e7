"""When a waiting publisher's turn has come.

The primary is preferred. The standby goes on the air when the primary stops, stalls, or sends sound without
pictures while its own have come steadily; the primary comes back once it has been well for a while, with pictures
where the standby has some. Each switch is followed by some seconds without another one.
"""

import asyncio

from appliance.contracts.media import SOURCE, Broadcast, BroadcastState
from appliance.runtime.clock import now_us
from edge.ingest.broadcasts import Opened
from edge.ingest.log_watch import LogWatch
from edge.ingest.reel import Reel
from edge.ingest.site import Site
from edge.ingest.splicing import follows
from edge.media.presence import PAUSE_US, Patience
from edge.media.splice import find_splice

_ALONE_S = 3.0  # a standby publisher nobody else is in front of
_REST_S = 3.0  # after stepping back
_UNWELL_US = 500_000
_PICTURES_S = 1.5  # at least, that pictures have to be missing, and the other ones to have come
_SLOW = 1.5  # times as far apart as its pictures are, and a publisher has stalled
_MOST_STALL_S = 5.0  # so long sound waits in the log for pictures
_KEY_US = 150_000  # a key frame that came so lately is a place to begin
_CATCH_UP_S = 1.0
_NO_PICTURES = "the other encoder sends sound without pictures"
_BEHIND_S = 3.0  # how long a publisher that sends the same frames later is waited for


class Promotion:
    """Of one session. Used in its task only."""

    def __init__(self, site: Site, channel_id: str, slot: str) -> None:
        self._site = site
        self._channel_id = channel_id
        self._slot = slot
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._rest_until = 0.0
        self._well_since: float | None = None
        self._wanted_since: float | None = None
        self._seen_on_air = False
        self._patience = Patience()
        self._watch: LogWatch | None = None

    def may_begin(self) -> bool:
        """Whether a new publisher is on the air at once: it is no standby, and none is in front of it."""
        known = self._site.broadcasts.known(self._channel_id)
        if self._slot != "primary":
            return known is not None and _on_air(known) and known.slot == self._slot
        return known is None or not _on_air(known) or known.slot == self._slot

    def stepped_back(self) -> None:
        """The other publisher is on the air now."""
        now = self._loop.time()
        self._since, self._rest_until = now, now + _REST_S
        self._well_since = self._wanted_since = None

    def due(self, reel: Reel) -> str | None:
        """Why it should go on the air now, in words; None: not yet. Called several times a second."""
        now = self._loop.time()
        known = self._site.broadcasts.known(self._channel_id)
        self._follow(known)
        self._measure(reel, now)
        why = self._why(known, reel, now)
        if why is None:
            self._wanted_since = None
            return None
        if self._wanted_since is None:
            self._wanted_since = now
        if not self._can_start(known, reel, now):
            return None
        if why == _NO_PICTURES:
            self._patience.lost(now)
        return why

    async def relieve(self) -> None:
        """Has the other session of this process let go."""
        rival = self._site.rival(self._channel_id, self._slot)
        if rival is not None and rival.is_active:
            await rival.step_back()

    async def published(self, opened: Opened) -> list[int]:
        """Digests of the pictures in the log, up to its end as it was opened; none when they are not known."""
        watch, end = self._watch, opened.resume.get(SOURCE)
        if watch is None or end is None or watch.broadcast_id != opened.broadcast.broadcast_id:
            return []
        return watch.digests if await watch.reached(end.sequence, _CATCH_UP_S) else []

    async def close(self) -> None:
        """No more."""
        if self._watch is not None:
            await self._watch.close()

    # --- why

    def _why(self, known: Broadcast | None, reel: Reel, now: float) -> str | None:
        if known is None or known.state is BroadcastState.ENDED or not _on_air(known):
            patience = 0.0 if self._seen_on_air else _ALONE_S
            return "no other encoder is on the air" if now - self._since >= patience else None
        self._seen_on_air = True
        if known.slot == self._slot:
            return None  # a session of this slot is just ending
        if self._watch is not None and now - max(self._watch.grown_at, self._since) >= self._stall_s(self._watch):
            return "the other encoder sends nothing"
        if now >= self._rest_until and self._has_pictures_alone(reel, now):
            return _NO_PICTURES
        if self._slot == "primary" and now >= self._rest_until and self._is_well(now):
            return "the preferred encoder is well again"
        return None

    def _stall_s(self, watch: LogWatch) -> float:
        """Sound waits in the log for pictures: those of a slow source are as much sign of life as it gives."""
        slow_s = min(_MOST_STALL_S, _SLOW * watch.pictures.interval_us / 1_000_000)
        return max(self._site.settings.ingest.standby_stall_s, slow_s)

    def _has_pictures_alone(self, reel: Reel, now: float) -> bool:
        """Whether the other publisher has sent sound alone for long, and this one pictures as well."""
        if self._watch is None:
            return False
        at_us = now_us()
        patience_s = self._patience.times(now) * max(_PICTURES_S, self._site.settings.ingest.standby_stall_s)
        least_us = min(self._watch.missing_us(at_us), reel.pictures.steady_us(at_us))
        return least_us >= patience_s * 1_000_000

    def _is_well(self, now: float) -> bool:
        return (
            self._well_since is not None and now - self._well_since >= self._site.settings.ingest.standby_return_s
        )

    def _measure(self, reel: Reel, now: float) -> None:
        at_us = now_us()
        lacks_pictures = (
            self._watch is not None
            and reel.pictures.is_missing(at_us)
            and self._watch.pictures.steady_us(at_us) > PAUSE_US
        )
        if lacks_pictures or at_us - reel.last_us > _UNWELL_US:
            self._well_since = None
        elif self._well_since is None:
            self._well_since = now

    # --- where

    def _can_start(self, known: Broadcast | None, reel: Reel, now: float) -> bool:
        """There is a frame to begin with: the one after the log's last, or a key frame that just came.

        Where nobody expects pictures and none came, it may be any frame of sound.
        """
        published = self._watch.digests if self._watch is not None else []
        own, _ = reel.digests()
        if find_splice(own, published) is not None:
            return True
        waited = now - self._wanted_since if self._wanted_since is not None else 0.0
        if waited < _BEHIND_S and follows(reel, published):
            return False
        at_us = now_us()
        needs_pictures = known is not None and known.has_video
        if not needs_pictures and reel.pictures.gone_us(at_us) is None:
            return at_us - reel.last_us <= _KEY_US
        return reel.key_us > 0 and at_us - reel.key_us <= _KEY_US

    def _follow(self, known: Broadcast | None) -> None:
        """Follows the broadcast that is on the air; only the task of its publisher calls, so nothing races."""
        if known is None or (self._watch is not None and self._watch.broadcast_id == known.broadcast_id):
            return
        if self._watch is not None:
            self._watch.stop()
        self._watch = LogWatch(self._site.log, known.broadcast_id)
        self._watch.start()


def _on_air(known: Broadcast) -> bool:
    return known.state in (BroadcastState.STARTING, BroadcastState.LIVE)
