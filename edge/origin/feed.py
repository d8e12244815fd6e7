"""One followed broadcast: its renditions, the answers made of them, and the requests held for them.

Sans-socket: chunks, records and `now` (monotonic seconds) come in; answers leave through `Deliver`, which
writes one response to many waiters. Nothing here blocks or waits.
"""

from collections.abc import Callable, Mapping

from appliance.contracts.errors import BadInputError
from appliance.contracts.media import (
    AUDIO,
    AUDIO_AAC,
    CHUNK_HEADER,
    SOURCE,
    Broadcast,
    BroadcastState,
    ChunkHeader,
    Rendition,
)
from appliance.contracts.moments import Moment
from appliance.contracts.transcode import RungsRecord
from edge.origin import playlists
from edge.origin.archive import News
from edge.origin.config import OriginConfig
from edge.origin.crowding import Crowding
from edge.origin.demand import RenditionDemand
from edge.origin.held import Deliver, HeldRequests, Release, Waiter
from edge.origin.metrics import Tally
from edge.origin.part_store import PartStore, RenditionStore
from edge.origin.playlists import Face
from edge.origin.rendition import RenditionFeed
from edge.origin.responses import PLAYLIST_TYPE, Response, error, text
from edge.origin.stored import Discontinuities, WindowRules
from edge.origin.window import RenditionWindow
from edge.protocols.hls import multivariant

_CATCH_UP_S = 2.0  # a log that is never quiet counts as caught up after this, when hardly anything is behind
_HARDLY = 16  # messages
_CATCH_UP_AT_MOST_S = 20.0
_SETTLE_S = 1.0  # record and log travel apart: the last chunks may come after the end was announced
_SETTLE_AT_MOST_S = 5.0
_RENDITIONS_AT_MOST = 16
_NO_SOUND = error("multivariant", 404, "This broadcast has no sound of its own.")


class BroadcastFeed:
    """States: catching up, following, ended (the playlists have ENDLIST), over (may be dropped)."""

    def __init__(
        self,
        record: Broadcast,
        config: OriginConfig,
        store: PartStore,
        tally: Tally,
        deliver: Deliver,
        now: float,
        crowding: Crowding | None = None,
    ) -> None:
        """`crowding` hears of the source's parts as they come."""
        self.record = record
        self._crowding = crowding
        self._protected = False
        self.renditions: dict[str, RenditionFeed] = {}
        self.demand = RenditionDemand()
        self.moments: list[Moment] = []
        self._withdrawn: frozenset[str] = frozenset()  # rungs that are gaps for now: not offered
        self._resting: frozenset[str] = frozenset()  # rungs that are gaps until they are asked for
        self.last_request = now
        self.caught_up = False
        self._behind = 0
        self.ended = False
        self._rules = WindowRules(
            record.target_duration_s, record.part_target_s, config.window_s, config.min_segments, config.rewind_s
        )
        self._complete_s = config.complete_s
        self._store = store
        self._tally = tally
        self._deliver = deliver
        self._discontinuities = Discontinuities()
        self._held: HeldRequests[tuple[Face, bool]] = HeldRequests()
        self._early: dict[Callable[[], None], None] = {}
        self._multivariant: dict[tuple[Face, bool], Response] = {}
        self._built_at = 0.0
        self._built_of: tuple[object, ...] = ()
        self._started = now
        self._source_at: float | None = None
        self._last_chunk = now
        self._ending_at: float | None = None
        self._over_at: float | None = None

    @property
    def protected(self) -> bool:
        """Whether a grant is needed; kept by the catalogue."""
        return self._protected

    @protected.setter
    def protected(self, value: bool) -> None:
        if value and not self._protected:
            for rendition in self.renditions.values():
                rendition.shortcuts.clear()
        self._protected = value

    # -- what comes

    def set_record(self, record: Broadcast, now: float) -> None:
        """The broadcast's record changed."""
        self.record = record
        for rendition in self.renditions.values():
            rendition.forget_answers()
        if record.state is BroadcastState.ENDED:
            self.end_soon(now)

    def end_soon(self, now: float) -> None:
        """The broadcast is over once its log has been quiet for a moment."""
        if self._ending_at is None:
            self._ending_at = now

    def set_rendition(self, record: Rendition, now: float) -> None:
        """A rendition's record came or changed."""
        rendition = self.rendition(record.name)
        if rendition is not None:
            changed = rendition.store.describe(record, now)
            rendition.forget_answers()
            if changed:
                self._changed(rendition, now)

    def set_rungs(self, record: RungsRecord | None, now: float) -> None:
        """How the transcoded rungs run. The playlists of paused ones go on."""
        before = self._withdrawn
        self._withdrawn = record.withdrawn() if record is not None else frozenset()
        for name in self._withdrawn - before:
            if self.caught_up and name in self.renditions:
                self._release(self.renditions[name])
        self._resting = record.resting() if record is not None else frozenset()
        self._release_multivariant(now)

    def is_without_pictures(self, name: str, window: RenditionWindow) -> bool:
        """Of one that ends in a gap: whether others go on, and it does not for more than a moment.

        It is paused until there is enough for it, or the publisher sends nothing of it, or does not any more: then
        the others show the last picture on, one that rests as soon as it is asked for.
        """
        sent = name == SOURCE or name in self.record.contributed
        return name in self._withdrawn or (
            (sent or name not in playlists.listed(self.record))
            and window.ends_in_gap_part
            and any(
                record.name in self.record.ladder
                and (not other.ends_in_gap or record.name in self._resting)
                and other.position is not None
                for record, other in self._offered()
                if record.name != name
            )
        )

    def set_moments(self, moments: list[Moment]) -> None:
        """What happened in the broadcast: told with the next update of each playlist."""
        self.moments = moments

    def rendition(self, name: str) -> RenditionFeed | None:
        """The rendition of that name, begun when it is new; None when there are too many."""
        found = self.renditions.get(name)
        if found is None and len(self.renditions) < _RENDITIONS_AT_MOST:
            store = RenditionStore(name, self._rules, self._discontinuities, self._tally)
            self._store.add(store)
            found = self.renditions[name] = RenditionFeed(name, store, self)
        return found

    def take(self, subject: str, headers: Mapping[str, str], data: bytes, pending: int, now: float) -> None:
        """The next message of the log; `pending` messages were behind it."""
        self._last_chunk = now
        self._behind = pending
        try:
            header = ChunkHeader.decode(headers.get(CHUNK_HEADER, ""))
        except BadInputError:
            self._tally.event("bad_chunk")
            header = None
        rendition = self.rendition(subject.rpartition(".")[2])
        if header is not None and rendition is not None and rendition.store.accept(header, data, now):
            if self._crowding is not None and self.caught_up and rendition.name in (SOURCE, AUDIO):
                self._crowding.heard(header, self.record.part_target_s)
            self._changed(rendition, now)
        if pending == 0:
            self._catch_up(now)

    def recall(self, kept: Mapping[str, News]) -> None:
        """What the spool has of each rendition, before anything came of the log."""
        for name, news in kept.items():
            rendition = self.rendition(name)
            if rendition is not None and news.segments:
                rendition.store.recall(news.segments)
                rendition.forget_answers()

    def locate(self, kept: Mapping[str, News], now: float) -> None:
        """What the spool has got since, and lost."""
        for name, news in kept.items():
            rendition = self.renditions.get(name)
            if rendition is not None and rendition.store.locate(news.segments, news.first_msn, now):
                rendition.forget_answers()

    def tick(self, now: float) -> None:
        """Several times a second: whatever depends on time alone."""
        reading_s = now - self._started
        if reading_s >= (_CATCH_UP_S if self._behind <= _HARDLY else _CATCH_UP_AT_MOST_S):
            self._catch_up(now)
        if self._ending_at is not None and not self.ended:
            quiet = now - self._last_chunk >= _SETTLE_S and now - self._ending_at >= _SETTLE_S
            if quiet or now - self._ending_at >= _SETTLE_AT_MOST_S:
                self._end(now)
        for rendition in self.renditions.values():
            rendition.shortcuts.flush()
            if rendition.window is not None:
                rendition.window.expire(now)
        self._release_multivariant(now)

    def _end(self, now: float) -> None:
        self.ended = True
        longest = 0.0
        for rendition in self.renditions.values():
            if rendition.window is not None:
                rendition.window.end()
                longest = max(longest, rendition.window.listed_s())
            rendition.forget_answers()
            self._release(rendition)
        self._over_at = now + longest
        self._answer_multivariant(error("multivariant", 410, "This channel is not live now."))

    def over(self, now: float) -> bool:
        """Ended, and its playlists have been served for one playlist duration since."""
        return self._over_at is not None and now >= self._over_at

    def close(self) -> None:
        """No longer followed: what is held is answered, what is stored is freed."""
        gone = error("playlist", 503, "This broadcast is no longer followed here.")
        for rendition in self.renditions.values():
            rendition.shortcuts.clear()
            for waiters in rendition.take_all():
                self._deliver(waiters, gone)
        self._answer_multivariant(gone)
        self._store.remove([rendition.store for rendition in self.renditions.values()])

    # -- what changes

    def _changed(self, rendition: RenditionFeed, now: float) -> None:
        rendition.forget_answers()
        if self._source_at is None and rendition.name in (SOURCE, AUDIO):
            self._source_at = now
        for store in self._store.enforce(now):
            evicted = self.renditions.get(store.name)
            if evicted is not None and evicted.store is store:
                evicted.forget_answers()
        if self.caught_up:
            self._release(rendition)
            self._release_multivariant(now)

    def _catch_up(self, now: float) -> None:
        if self.caught_up:
            return
        self.caught_up = True
        for rendition in self.renditions.values():
            self._release(rendition)
        self._release_multivariant(now)
        early, self._early = self._early, {}
        for again in early:
            again()

    def hold_early(self, again: Callable[[], None]) -> Release:
        """Calls `again` once the feed has caught up; the returned function lets it go."""
        self._early[again] = None

        def release(_: Waiter) -> None:
            self._early.pop(again, None)

        return release

    def _release(self, rendition: RenditionFeed) -> None:
        for waiters, response in rendition.ready():
            self._deliver(waiters, response)

    # -- the multivariant playlist

    def expect_viewer(self, now: float) -> None:
        """Somebody comes. The smallest rung is to be awake before a bad line needs it."""
        if self.record.ladder:
            self.demand.asked(self.record.ladder[-1], now)

    def multivariant(self, face: Face, *, gzip: bool, now: float) -> Response | None:
        """The multivariant playlist, or None while it is not complete: then hold."""
        if not self._complete(now):
            return None
        ready = self._offered()
        made_of = self._resting, self._has, *(record for record, _ in ready)
        if made_of != self._built_of or now - self._built_at >= self.record.target_duration_s:
            self._multivariant = {}
            self._built_of, self._built_at = made_of, now
        response = self._multivariant.get((face, gzip))
        if response is None:
            playlist = playlists.multivariant(self.record, ready, self._resting, face)
            if playlist.variants:
                body = multivariant.render(playlist)
                response = text("multivariant", PLAYLIST_TYPE, "public, max-age=1", body, gzip=gzip)
            else:
                response = _NO_SOUND
            self._multivariant[face, gzip] = response
        return response

    @property
    def _has(self) -> tuple[bool, bool, bool]:
        """Whether there is a picture, a sound, and captions."""
        return self.record.has_video, self.record.has_audio, self.record.has_captions

    def hold_multivariant(self, face: Face, gzip: bool, waiter: Waiter) -> Release:
        """Holds a request until the multivariant playlist is complete."""
        return self._held.add((face, gzip), waiter)

    def _ready(self) -> list[tuple[Rendition, RenditionWindow]]:
        """Renditions with media, and those the transcoder has announced: theirs comes in a moment.

        Whoever asks for a playlist that lists nothing yet is held until it does.
        """
        found = []
        for rendition in self.renditions.values():
            window, record = rendition.window, rendition.store.record
            if window is None or record is None or not record.inits:
                continue
            sent = record.name in (SOURCE, AUDIO) or record.name in self.record.contributed
            if window.position is not None or not sent:
                found.append((record, window))
        return found

    def _offered(self) -> list[tuple[Rendition, RenditionWindow]]:
        """Those that are ready and not withdrawn; all of them when no picture would be left."""
        ready = self._ready()
        running = [one for one in ready if one[0].name not in self._withdrawn]
        has_picture = any(record.name in self.record.ladder for record, _ in running)
        return running if has_picture or not self.record.ladder else ready

    def _complete(self, now: float) -> bool:
        """Every expected rendition is ready; or some picture is, and the source has had a part for long enough."""
        ready = {record.name for record, _ in self._ready()} & playlists.listed(self.record)
        if not ready or not self.caught_up:
            return False
        ladder = set(self.record.ladder) if self.record.has_video else set()
        expected = ladder - self._withdrawn or ladder
        if self.record.has_audio:
            expected.add(self.record.audio)
        if expected and expected <= ready:
            return True
        has_picture = not ladder or not ready.isdisjoint(ladder)
        return has_picture and self._is_late(now)

    def _is_late(self, now: float) -> bool:
        return self._source_at is not None and now - self._source_at >= self._complete_s

    def _release_multivariant(self, now: float) -> None:
        if not self._held.keys() or not self._complete(now):
            return
        for (face, gzip), waiters in self._held.take(lambda _: True):
            response = self.multivariant(face, gzip=gzip, now=now)
            if response is not None:
                self._deliver(waiters, response)

    def _answer_multivariant(self, response: Response) -> None:
        for _, waiters in self._held.take(lambda _: True):
            self._deliver(waiters, response)

    # -- facts for pages

    def windows_except(self, name: str) -> dict[str, RenditionWindow]:
        """The windows of the other renditions that viewers may be offered, for reports."""
        names = playlists.listed(self.record)
        return {
            other: rendition.window
            for other, rendition in self.renditions.items()
            if other != name and other in names and rendition.window is not None
        }

    def counts_viewers(self, name: str) -> bool:
        """Whether requests for this rendition's playlist are counted: of picture and sound, one."""
        return name not in (AUDIO, AUDIO_AAC) or not self.record.has_video
