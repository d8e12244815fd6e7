"""One broadcast on its way to its WebRTC viewers: its log is read while somebody watches, each rendition once."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

from appliance.contracts.errors import BadInputError, UnavailableError
from appliance.contracts.media import AUDIO, CHUNK_HEADER, ChunkFlag, ChunkHeader, Init
from appliance.contracts.subjects import MEDIA_STREAM, media
from appliance.runtime.bus import Bus
from appliance.runtime.logs import get_logger
from appliance.runtime.tasks import Tasks
from edge.media.rung_choice import Step
from edge.whep import metrics
from edge.whep.rung import PictureSink, RungFeed
from edge.whep.site import LiveSite
from edge.whep.sound import SoundFeed, SoundSink, sound_track
from edge.whep.unit import UnfitError, avc_form

_IDLE_S = 5.0  # a rendition that nobody watches is read on for so long
_INIT_WAIT_S, _INIT_LOOK_S = 10.0, 0.05  # a record may come a little after the first chunk that it is for
_SETTLE_S = 1.0  # record and log travel apart: the last chunks may come after the end was announced
_FIRST_LOOK, _MOST_LOOK = 64, 1 << 18  # messages back in the log to find the beginning of the newest segment


class Viewer(PictureSink, SoundSink, Protocol):
    """A session that watches."""

    def end(self, reason: str, code: str, *, clean: bool) -> None:
        """It is over."""


class Anchor(NamedTuple):
    """At Unix time `wall_s` the media time `media_s` was recorded: picture and sound alike."""

    wall_s: float
    media_s: float

    def media_at(self, wall_s: float) -> float:
        """Media time in seconds of a wall clock time."""
        return self.media_s + wall_s - self.wall_s


class Relay:
    """Used on the loop. `tick` every second; over when `is_over`, which is when its last viewer was ended."""

    def __init__(
        self, broadcast_id: str, site: LiveSite, local: Bus, failed: Callable[[BaseException], None]
    ) -> None:
        self.broadcast_id = broadcast_id
        self.viewers: set[Viewer] = set()
        self.anchor: Anchor | None = None
        self.idle_since = self._now()
        self._site = site
        self._local = local
        self._failed = failed
        self._rungs: dict[str, RungFeed] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._sound: SoundFeed | None = None
        self._over_at: float | None = None
        self._tasks = Tasks(failed)
        self._log = get_logger("whep").bind(broadcast=broadcast_id)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # --- what there is

    def steps(self) -> list[Step]:
        """Renditions that viewers can be shown, best first."""
        found = self._site.pictures(self.broadcast_id)
        return [Step(one.name, one.bandwidth) for one in found if not self._is_unfit(one.name)]

    def _is_unfit(self, name: str) -> bool:
        feed = self._rungs.get(name)
        return feed is not None and bool(feed.unfit)

    async def first(self, most_bits_per_s: int, within_s: float) -> RungFeed | None:
        """The feed that a viewer begins with: the best one within a rate that has a picture; None when none has.

        UnavailableError when none has one in time.
        """
        until = self._now() + within_s
        while steps := self.steps():
            name = next((step.name for step in steps if step.bandwidth <= most_bits_per_s), steps[-1].name)
            feed = self.rung(name)
            try:
                async with asyncio.timeout(max(0.01, until - self._now())):
                    await feed.ready.wait()
            except TimeoutError as error:
                raise UnavailableError("this broadcast has no picture yet") from error
            if not feed.unfit:
                return feed
            self._log.info("rendition_unfit", rendition=name, why=feed.unfit)
        return None

    def rung(self, name: str) -> RungFeed:
        """The feed of a rendition, read from now on."""
        feed = self._rungs.get(name)
        if feed is None:
            record = self._site.rendition(self.broadcast_id, name)
            feed = self._rungs[name] = RungFeed(name, record.timescale if record is not None else 90_000)
            self._reading[name] = self._tasks.start(self._read_pictures(feed), f"read-{name}")
        feed.wanted_at = self._now()
        return feed

    def sound(self) -> SoundFeed:
        """The feed of the sound, read from now on."""
        if self._sound is None:
            self._sound = SoundFeed(self._failed)
            self._reading[AUDIO] = self._tasks.start(self._read_sound(self._sound), "read-sound")
        return self._sound

    def leave(self, viewer: Viewer) -> None:
        """A viewer has ended."""
        self.viewers.discard(viewer)
        for feed in self._rungs.values():
            feed.viewers.discard(viewer)
        if self._sound is not None:
            self._sound.viewers.discard(viewer)

    def watchers(self) -> dict[str, int]:
        """Viewers by rendition."""
        return {name: len(feed.viewers) for name, feed in self._rungs.items() if feed.viewers}

    # --- reading

    async def _read_pictures(self, feed: RungFeed) -> None:
        subject = media(self.broadcast_id, feed.name)
        start = await self._patiently(subject, whole_segment=True)
        async for message in self._local.tail(MEDIA_STREAM, [subject], start):
            header = _header(message.headers.get(CHUNK_HEADER, ""))
            if header is None or not message.data or header.flags & ChunkFlag.GAP:
                continue
            record = self._site.rendition(self.broadcast_id, feed.name)
            if self.anchor is None and record is not None:
                self.anchor = Anchor(header.pdt_us / 1e6, header.dts / record.timescale)
            try:
                form = avc_form(await self._init(feed.name, header.init))
            except (UnfitError, UnavailableError) as error:
                feed.refuse(error.detail)
                return
            feed.take(header, message.data, form, caught_up=message.pending == 0)
            if feed.unfit:
                return

    async def _read_sound(self, feed: SoundFeed) -> None:
        subject = media(self.broadcast_id, AUDIO)
        start = await self._patiently(subject, whole_segment=False)
        async for message in self._local.tail(MEDIA_STREAM, [subject], start):
            header = _header(message.headers.get(CHUNK_HEADER, ""))
            if header is None or not message.data or header.flags & ChunkFlag.GAP:
                continue
            try:
                track = sound_track(await self._init(AUDIO, header.init))
            except (BadInputError, UnavailableError):
                metrics.DROPPED.labels("unknown_sound").inc()
                continue
            if self.anchor is None:
                self.anchor = Anchor(header.pdt_us / 1e6, header.dts / track.timescale)
            await feed.prepare(track)
            feed.take(message.data, track)

    async def _patiently(self, subject: str, *, whole_segment: bool) -> int:
        while True:
            try:
                return await find_start(self._local, subject, whole_segment=whole_segment)
            except UnavailableError:
                await asyncio.sleep(0.2)

    async def _init(self, name: str, number: int) -> Init:
        until = self._now() + _INIT_WAIT_S
        while (init := self._site.init(self.broadcast_id, name, number)) is None:
            if self._now() > until:
                raise UnavailableError(f"init {number} of {name} is not announced")
            await asyncio.sleep(_INIT_LOOK_S)
        return init

    # --- time

    @property
    def is_over(self) -> bool:
        """Whether the broadcast has ended and so have its viewers."""
        return self._over_at is not None and not self.viewers

    def tick(self, now: float) -> None:
        """Every second: what nobody watches is no longer read; a broadcast that ended ends its viewers."""
        for name, feed in list(self._rungs.items()):
            if feed.viewers:
                feed.wanted_at = now
            elif not feed.unfit and now - feed.wanted_at > _IDLE_S:
                feed.close()
                del self._rungs[name]
                self._reading.pop(name).cancel()
        if self.viewers:
            self.idle_since = now
        if not self._site.is_over(self.broadcast_id):
            self._over_at = None
        elif self._over_at is None:
            self._over_at = now
        elif now - self._over_at >= _SETTLE_S:
            self._end("the broadcast is over", "over")

    def _end(self, reason: str, code: str) -> None:
        for viewer in list(self.viewers):
            viewer.end(reason, code, clean=True)

    def is_idle(self, now: float) -> bool:
        """Whether nobody has watched for a while."""
        return not self.viewers and now - self.idle_since > _IDLE_S

    async def close(self) -> None:
        """Reads nothing any more."""
        await self._tasks.close()
        for feed in self._rungs.values():
            feed.close()
        if self._sound is not None:
            await self._sound.close()


def _header(line: str) -> ChunkHeader | None:
    try:
        return ChunkHeader.decode(line)
    except BadInputError:
        metrics.DROPPED.labels("bad_chunk").inc()
        return None


async def find_start(local: Bus, subject: str, *, whole_segment: bool) -> int:
    """The sequence to read a rendition from: its newest chunk, or where its newest segment surely begins.

    UnavailableError when the log is away.
    """
    newest = await local.last_message(MEDIA_STREAM, subject)
    if newest is None:
        return 1
    header = _header(newest.headers.get(CHUNK_HEADER, ""))
    if not whole_segment or header is None:
        return newest.seq
    back = _FIRST_LOOK
    while back < min(newest.seq, _MOST_LOOK):
        found = await local.next_message(MEDIA_STREAM, subject, newest.seq - back)
        earlier = _header(found.headers.get(CHUNK_HEADER, "")) if found is not None else None
        if found is not None and earlier is not None and earlier.msn < header.msn:
            return found.seq
        back *= 2
    return max(1, newest.seq - back)
