"""Which channels there are, which are live, and which broadcasts this process follows.

Records come from the buckets of what is live (`live_changed`) and from `Channels`; a broadcast is followed from its
first request until nobody has asked for it for a while. All of it can be made again from log and bucket.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol, TypeVar

import msgspec

from appliance.contracts.directory import Access, ChannelRecord
from appliance.contracts.health import HealthReport
from appliance.contracts.media import Broadcast, BroadcastState, Rendition
from appliance.contracts.moments import Moment, Moments
from appliance.contracts.session import SessionRecord
from appliance.contracts.subjects import MEDIA_STREAM, media_of
from appliance.contracts.transcode import RungsRecord
from appliance.runtime.bus import LogMessage
from appliance.runtime.tasks import Tasks
from edge.origin.archive import Archive, Followed, News
from edge.origin.channels import Channels
from edge.origin.config import OriginConfig
from edge.origin.crowding import Crowding
from edge.origin.feed import BroadcastFeed
from edge.origin.held import Deliver
from edge.origin.metrics import FOLLOWED, STORED, Tally
from edge.origin.part_store import PartStore
from edge.origin.site_audience import SiteAudience

T = TypeVar("T")
_LOCATE_S = 2.0


class Log(Protocol):
    """The part of a bus that following needs."""

    def tail(self, stream: str, subjects: list[str], start: int = 1) -> AsyncIterator[LogMessage]:
        """Every message of `subjects`, in order, without end."""


class _Followed:
    def __init__(self, feed: BroadcastFeed, tasks: Tasks) -> None:
        self.feed = feed
        self.tasks = tasks


class Catalogue:
    """Lookups for the routes. `clock` is monotonic seconds; `deliver` writes one answer to many."""

    def __init__(
        self,
        *,
        config: OriginConfig,
        log: Log,
        channels: Channels,
        store: PartStore,
        audience: SiteAudience,
        tally: Tally,
        deliver: Deliver,
        clock: Callable[[], float],
        archive: Archive | None = None,
        crowding: Crowding | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._config = config
        self._crowding = crowding
        self._archive = archive
        self._log = log
        self._channels = channels
        self._store = store
        self._audience = audience
        self._tally = tally
        self._deliver = deliver
        self._clock = clock
        self._on_failure = on_failure
        self._broadcasts: dict[str, Broadcast] = {}
        self._renditions: dict[str, dict[str, Rendition]] = {}
        self._moments: dict[str, list[Moment]] = {}  # what happened in a broadcast
        self._rungs: dict[str, RungsRecord] = {}  # how those of a broadcast run
        self._sessions: dict[str, SessionRecord] = {}  # of publishers that are connected, by channel and slot
        self._health: dict[str, bytes] = {}  # newest report as JSON, by channel id
        self._live: dict[str, str] = {}
        self._followed: dict[str, _Followed] = {}
        self._closing = Tasks(on_failure)

    # -- records

    def live_changed(self, key: str, value: bytes | None) -> None:
        """A key of the live bucket, or of that of figures, was written or deleted."""
        kind, _, rest = key.partition(".")
        try:
            if kind == "broadcast":
                self._broadcast_changed(rest, None if value is None else _read(value, Broadcast))
            elif kind == "rendition":
                broadcast_id, _, name = rest.partition(".")
                self._rendition_changed(broadcast_id, name, None if value is None else _read(value, Rendition))
            elif kind == "rungs":
                self._rungs_changed(rest, None if value is None else _read(value, RungsRecord))
            elif kind == "moments":
                self._moments_changed(rest, None if value is None else _read(value, Moments))
            elif kind == "health":
                self._health_changed(rest, value)
            elif kind == "session":
                self._session_changed(rest, None if value is None else _read(value, SessionRecord))
        except msgspec.MsgspecError:
            self._tally.event("bad_record")

    def _broadcast_changed(self, broadcast_id: str, record: Broadcast | None) -> None:
        followed = self._followed.get(broadcast_id)
        old = self._broadcasts.pop(broadcast_id, None) if record is None else self._broadcasts.get(broadcast_id)
        if record is not None:
            self._broadcasts[broadcast_id] = record
            if followed is not None:
                followed.feed.set_record(record, self._clock())
        elif followed is not None:
            followed.feed.end_soon(self._clock())
        for channel in {one.channel for one in (old, record) if one is not None}:
            self._elect(channel)

    def _elect(self, channel: str) -> None:
        """The newest broadcast of a channel that is not over is the live one."""
        candidates = [
            record
            for record in self._broadcasts.values()
            if record.channel == channel and record.state is not BroadcastState.ENDED
        ]
        if candidates:
            self._live[channel] = max(
                candidates, key=lambda one: (one.started_at_ms, one.broadcast_id)
            ).broadcast_id
        else:
            self._live.pop(channel, None)

    def _rendition_changed(self, broadcast_id: str, name: str, record: Rendition | None) -> None:
        known = self._renditions.setdefault(broadcast_id, {})
        if record is None:
            known.pop(name, None)
            if not known:
                del self._renditions[broadcast_id]
            return
        known[name] = record
        followed = self._followed.get(broadcast_id)
        if followed is not None:
            followed.feed.set_rendition(record, self._clock())

    def _rungs_changed(self, broadcast_id: str, record: RungsRecord | None) -> None:
        if record is not None:
            self._rungs[broadcast_id] = record
        else:
            self._rungs.pop(broadcast_id, None)
        followed = self._followed.get(broadcast_id)
        if followed is not None:
            followed.feed.set_rungs(record, self._clock())

    def _moments_changed(self, broadcast_id: str, record: Moments | None) -> None:
        if record is None:
            self._moments.pop(broadcast_id, None)
            return
        self._moments[broadcast_id] = record.moments
        followed = self._followed.get(broadcast_id)
        if followed is not None:
            followed.feed.set_moments(record.moments)

    def _health_changed(self, channel_id: str, value: bytes | None) -> None:
        if value is None:
            self._health.pop(channel_id, None)
            return
        _read(value, HealthReport)
        self._health[channel_id] = value

    def _session_changed(self, place: str, record: SessionRecord | None) -> None:
        """`place` is the channel's id and the slot."""
        if record is None or record.ended_at_ms:
            self._sessions.pop(place, None)
        else:
            self._sessions[place] = record

    # -- lookups

    def channel(self, name: str) -> ChannelRecord | None:
        """A channel of the directory."""
        return self._channels.get(name)

    def live(self, channel: str) -> Broadcast | None:
        """The channel's broadcast that is starting, live or interrupted."""
        broadcast_id = self._live.get(channel)
        return self._broadcasts.get(broadcast_id) if broadcast_id is not None else None

    def broadcast(self, broadcast_id: str) -> Broadcast | None:
        return self._broadcasts.get(broadcast_id)

    def rendition(self, broadcast_id: str, name: str) -> Rendition | None:
        return self._renditions.get(broadcast_id, {}).get(name)

    def broadcasts(self) -> Iterator[Broadcast]:
        """Every broadcast that is live or interrupted."""
        for broadcast_id in self._live.values():
            record = self._broadcasts[broadcast_id]
            if record.state in (BroadcastState.LIVE, BroadcastState.INTERRUPTED):
                yield record

    def viewers(self, broadcast_id: str) -> int:
        """Viewers at the whole site."""
        return self._audience.viewers(broadcast_id)

    def watchers(self) -> dict[str, dict[str, int]]:
        """Viewers this process has seen lately, by broadcast and rendition of the picture."""
        now = self._clock()
        found = {
            name: followed.feed.demand.watchers(now, self._audience.by_rendition(name, now))
            for name, followed in self._followed.items()
        }
        return {name: watchers for name, watchers in found.items() if watchers}

    # -- following

    def feed(self, broadcast_id: str) -> BroadcastFeed | None:
        """The feed of a broadcast, followed from now on; None when there is no such one or it is over."""
        followed = self._followed.get(broadcast_id)
        if followed is None:
            record = self._broadcasts.get(broadcast_id)
            if record is None or (record.state is BroadcastState.ENDED and not self._keeps(broadcast_id)):
                return None
            followed = self._follow(record)
        followed.feed.last_request = self._clock()
        return followed.feed

    def _keeps(self, broadcast_id: str) -> bool:
        return self._archive is not None and self._archive.has(broadcast_id)

    def _follow(self, record: Broadcast) -> _Followed:
        now = self._clock()
        feed = BroadcastFeed(record, self._config, self._store, self._tally, self._deliver, now, self._crowding)
        for rendition in self._renditions.get(record.broadcast_id, {}).values():
            feed.set_rendition(rendition, now)
        feed.set_rungs(self._rungs.get(record.broadcast_id), now)
        feed.protected = self._is_protected(record.channel)
        feed.set_moments(self._moments.get(record.broadcast_id, []))
        if record.state is BroadcastState.ENDED:
            feed.end_soon(now)
        followed = self._followed[record.broadcast_id] = _Followed(feed, Tasks(self._on_failure))
        followed.tasks.start(self._tail(feed), f"follow-{record.broadcast_id}")
        return followed

    def _is_protected(self, channel: str) -> bool:
        record = self.channel(channel)
        return record is None or record.access is not Access.PUBLIC

    async def _tail(self, feed: BroadcastFeed) -> None:
        await self._recall(feed)
        subjects = [media_of(feed.record.broadcast_id)]
        async for message in self._log.tail(MEDIA_STREAM, subjects, 1):
            feed.take(message.subject, message.headers, message.data, message.pending, self._clock())

    async def _recall(self, feed: BroadcastFeed) -> None:
        """Lists what the spool has, then keeps looking what it gets."""
        if self._archive is None:
            return
        kept = self._archive.follow(feed.record.broadcast_id)
        feed.recall(await self._news(kept))
        followed = self._followed.get(feed.record.broadcast_id)
        if followed is not None and followed.feed is feed:
            followed.tasks.start(self._keep_locating(feed, kept), f"locate-{feed.record.broadcast_id}")

    async def _keep_locating(self, feed: BroadcastFeed, kept: Followed) -> None:
        while True:
            await asyncio.sleep(_LOCATE_S * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            feed.locate(await self._news(kept), self._clock())

    async def _news(self, kept: Followed) -> dict[str, News]:
        try:
            return await kept.news()
        except OSError:
            self._tally.event("spool_unreadable")
            return {}

    def tick(self) -> None:
        """Several times a second: time passes for every feed; the unwanted ones are dropped."""
        now = self._clock()
        for broadcast_id, followed in list(self._followed.items()):
            feed = followed.feed
            feed.tick(now)
            if self.channel(feed.record.channel) is not None:  # else the directory is being copied anew
                feed.protected = self._is_protected(feed.record.channel)
            idle = now - feed.last_request >= self._config.idle_s
            if feed.over(now) or (idle and (not feed.ended or self._keeps(broadcast_id))):
                del self._followed[broadcast_id]
                feed.close()
                self._closing.start(followed.tasks.close(), f"unfollow-{broadcast_id}")
        FOLLOWED.set(len(self._followed))
        STORED.set(self._store.held_bytes)

    async def close(self) -> None:
        """Stops following everything; whoever is held is answered."""
        followed, self._followed = list(self._followed.values()), {}
        for one in followed:
            one.feed.close()
            await one.tasks.close()
        await self._closing.close()

    # -- documents for the pages

    def channels_document(self) -> bytes:
        """JSON of /live/channels.json: what is live here, most viewers first."""
        found = []
        for record in self.broadcasts():
            known = self.channel(record.channel)
            width, height = self._size(record.broadcast_id)
            access = known.access if known is not None else Access.PUBLIC
            open_ = access is Access.PUBLIC
            found.append(
                {
                    "channel": record.channel,
                    "title": record.title or (known.title if known is not None else ""),
                    "category": known.category if known is not None else "",
                    "stream_id": record.broadcast_id,
                    "state": record.state.value,
                    "started_at": record.started_at_ms,
                    "viewers": self.viewers(record.broadcast_id),
                    "width": width,
                    "height": height,
                    "access": access.value,
                    "thumbnail": f"/thumb/{record.channel}.jpg" if record.has_video and open_ else None,
                }
            )
        found.sort(key=lambda one: (-int(str(one["viewers"])), str(one["channel"])))
        return json.dumps({"channels": found}, ensure_ascii=False, separators=(",", ":")).encode()

    def status_document(self, channel: str) -> bytes | None:
        """JSON of /live/CHANNEL/status.json; None when the channel is unknown."""
        record, known = self.live(channel), self.channel(channel)
        if record is None and known is None:
            return None
        document = {
            "channel": channel,
            "title": (record.title if record is not None else "") or (known.title if known is not None else ""),
            "state": record.state.value if record is not None else "offline",
            "stream_id": record.broadcast_id if record is not None else None,
            "started_at": record.started_at_ms if record is not None else None,
            "viewers": self.viewers(record.broadcast_id) if record is not None else 0,
            "access": known.access.value if known is not None else Access.PUBLIC.value,
            "part_target_s": record.part_target_s if record is not None else None,
            "picture": record.has_video if record is not None else False,
            "sound": record.has_audio if record is not None else False,
        }
        if record is not None and self._is_for_webrtc(record):
            document["whep_url"] = f"/whep/{channel}"
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    def _is_for_webrtc(self, record: Broadcast) -> bool:
        """Whether WHEP can be tried: there is H.264. Whether it has B-frames, WHEP finds out."""
        known = self._renditions.get(record.broadcast_id, {})
        inits = [known[name].inits[-1] for name in record.ladder if name in known and known[name].inits]
        return self._config.whep and any(one.video and one.video.codec.startswith("avc1") for one in inits)

    def health_document(self, channel: str) -> bytes:
        """JSON of /live/CHANNEL/health: the channel's state and the newest report on its publisher, or null, and
        the sessions of its publishers, the one that waits as well."""
        record, known = self.live(channel), self.channel(channel)
        fields = {
            "channel": channel,
            "state": record.state.value if record is not None else "offline",
            "started_at": record.started_at_ms if record is not None else None,
            "viewers": self.viewers(record.broadcast_id) if record is not None else 0,
            "encoder": record.encoder if record is not None else "",
            "ladder": record.ladder if record is not None else [],
            "problems": [problem.text for problem in record.problems] if record is not None else [],
        }
        report = (
            self._health.get(known.channel_id, b"null") if known is not None and record is not None else b"null"
        )
        head = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        channel_id = known.channel_id if known is not None else ""
        found = [self._sessions.get(f"{channel_id}.{slot}") for slot in ("primary", "standby")]
        sessions = msgspec.json.encode([one for one in found if one is not None])
        return head[:-1] + b',"report":' + report + b',"sessions":' + sessions + b"}"

    def _size(self, broadcast_id: str) -> tuple[int, int]:
        for rendition in self._renditions.get(broadcast_id, {}).values():
            video = rendition.inits[-1].video if rendition.name == "source" and rendition.inits else None
            if video is not None:
                return video.width, video.height
        return 0, 0


def _read(value: bytes, kind: type[T]) -> T:
    return msgspec.json.decode(value, type=kind)
