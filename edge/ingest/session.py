"""One publisher from its accepted key to its departure: its events become messages of the part log.

    WAITING -> ACTIVE -> ENDED        ACTIVE -> WAITING        WAITING -> ENDED

A session without a rival is active at once. Where a channel has two publishers, one with a standby key, one
of them waits: its last seconds are kept, and it goes on where the other one stops.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Final

from appliance.contracts import subjects
from appliance.contracts.directory import KeyRecord
from appliance.contracts.errors import UnavailableError
from appliance.contracts.media import Broadcast, Problem
from appliance.runtime.backoff import Backoff
from appliance.runtime.clock import now_ms, now_us
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter, gauge
from edge.ingest.broadcasts import Opened
from edge.ingest.diary import Diary
from edge.ingest.eager_readers import Eager
from edge.ingest.health_feed import HealthFeed
from edge.ingest.promotion import Promotion
from edge.ingest.publisher import MOST_COLLECTED, Publisher
from edge.ingest.reel import Head, Reel, may_configure
from edge.ingest.rest import Rest
from edge.ingest.site import Site
from edge.ingest.splicing import Start, follows, from_key_frame, splice
from edge.ingest.writer import PICTURES, BroadcastWriter
from edge.media.health import Health
from edge.protocols.rtmp import AudioData, Event, VideoData

PRIMARY: Final = "primary"
STANDBY: Final = "standby"
_OPEN_S: Final = 20.0
_PREDECESSOR_S: Final = 12.0
_STEP_BACK_POLL_S: Final = 0.005
_SPLICE_TRIES: Final = 100  # of 10 ms
_ITEM_BYTES: Final = 200  # what a queued event costs besides its body
_WAITING_TICK_S: Final = 0.05

_PUBLISHERS: Final = gauge("nearcast_ingest_publishers", "Publisher sessions running.")
_SWITCHES: Final = counter("nearcast_ingest_switches_total", "Publishers that took over from a rival.", ["how"])


class PublisherSession:
    """A Sink. `offer` feeds it, `run` is its task, `end` stops it; after `done` all is out."""

    def __init__(
        self,
        site: Site,
        key: KeyRecord,
        key_hash: str,
        publisher: Publisher,
        predecessor: "PublisherSession | None",
    ) -> None:
        """`predecessor` is the session of the same slot that is taken over."""
        self.key = key
        self.key_hash = key_hash
        self.publisher = publisher
        self.slot = STANDBY if key.standby else PRIMARY
        self.done = asyncio.Event()
        self.queued_bytes = 0
        self.heard_us = now_us()  # when the last of its media came, Unix microseconds
        self.ready_at = self.due_at = math.inf  # from when on and by when to call `work`, loop time
        self._site = site
        self._predecessor = predecessor
        self._queue: deque[tuple[Event, int]] = deque()
        self._wake = asyncio.Event()
        self._ending: tuple[str, bool] | None = None
        self._failure: Exception | None = None
        self._writer: BroadcastWriter | None = None
        self._health = Health(keys_asked_for=publisher.kind == "whip")
        self._reports = HealthFeed(self._health)
        self._rest = Rest(collects=publisher.kind != "whip")
        self.head = Head()  # what configures the frames that will come
        self._reel = Reel()
        self._broadcast_id = ""  # that it wrote last
        self._problems: dict[str, Problem] = {}
        self._promotion: Promotion | None = None
        self._stepping: asyncio.Event | None = None  # set once it waits
        self._diary = Diary(
            publisher, channel_id=key.channel_id, channel=key.channel, slot=self.slot, at_ms=now_ms()
        )
        self._log = get_logger("ingest.session").bind(channel=key.channel, slot=self.slot)

    @property
    def is_active(self) -> bool:
        """Whether its media goes into the log."""
        return self._writer is not None

    @property
    def is_ending(self) -> bool:
        """Whether its publisher has gone or must go: its last media is on the way to the log."""
        return self._ending is not None

    @property
    def broadcast(self) -> Broadcast | None:
        """What it writes, while it does."""
        return self._writer.broadcast if self._writer is not None else None

    @property
    def is_prompt(self) -> bool:
        """Whether a reader waits for each message, so that it is not to wait for other publishers'."""
        return self._rest.is_prompt

    def set_eager(self, readers: Eager, *, rival: bool) -> None:
        """Who waits for its broadcast; `rival`: another publisher waits for its turn."""
        writer = self._writer
        if writer is not None:
            broadcast_id = writer.broadcast.broadcast_id
            near = broadcast_id in readers.viewers
            transcoded = broadcast_id in readers.transcoders and writer.wants_rungs
            is_fine = near or rival or transcoded
            self._rest.is_prompt = is_fine or broadcast_id in readers.parts
            writer.packager.set_fine(pictures=is_fine, sound=near)

    def set_damaged(self, units: int) -> None:
        """Access units of the last minute from which a transcoder got no whole picture."""
        self._health.set_damaged(units)

    # --- the publisher's calls

    def offer(self, event: Event, now_us: int) -> None:
        """Takes an event into the queue, which the caller bounds by not reading on.

        While it is on the air `work` empties it, else the task.
        """
        if self._ending is not None:
            return
        self._queue.append((event, now_us))
        self.heard_us = now_us
        self.queued_bytes += _size(event)
        if not self._works_at_ticks:
            self._wake.set()

    def work(self, now: float) -> None:
        """Reads and handles what came, at a tick of the log, with which complete messages leave.

        The frames of all publishers one after the other cost less than each at the time it comes: the
        processor has forgotten nothing in between. So those that complete nothing wait for one that does.

        `ready_at` and `due_at` say when to call it again. `now` in seconds of the loop's clock.
        """
        writer = self._writer
        if writer is None or self._stepping is not None or self._ending is not None:
            self.ready_at = self.due_at = math.inf
            return
        collected = self.publisher.collect() if self._rest.lasts(now) else MOST_COLLECTED
        if collected >= MOST_COLLECTED:
            self.publisher.read()
            if self._queue:
                self._work_off(writer, now)
            collected = 0
        self.ready_at, self.due_at = self._rest.next_look(now, collected)

    def _work_off(self, writer: BroadcastWriter, now: float) -> None:
        try:
            before, arrived_us = writer.appends, self._queue[-1][1]
            self._handle_all(writer)
            if writer.appends != before:
                self._rest.begin(now, arrived_us, *writer.packager.outlook(), self.publisher.received_bytes)
        except Exception as error:  # noqa: BLE001 - the session's task ends with it
            self._failure = error
            self._queue.clear()
            self.queued_bytes = 0
            self.end("internal error")

    @property
    def _works_at_ticks(self) -> bool:
        return self._writer is not None and self._stepping is None

    def end(self, reason: str, *, clean: bool = False) -> None:
        """The publisher is gone or must go. `clean`: the encoder said that it stops."""
        if self._ending is None:
            self._ending = (reason, clean)
            self._wake.set()

    # --- the gate's calls

    def replace_by_other(self) -> None:
        """Another publisher with this channel's key takes over."""
        self._close("taken_over", "another encoder took over this channel")
        self.end("taken over")

    def expel(self, code: str, text: str) -> None:
        """The key is not good any more."""
        self._close(code, text)
        self.end(code)

    async def step_back(self) -> None:
        """The other slot's publisher goes on: this one waits. Returns once its media is in the log."""
        if self._stepping is None:
            self._stepping = asyncio.Event()
            self.publisher.release()
            self._wake.set()
        stepping = self._stepping
        while not stepping.is_set() and not self.done.is_set():  # noqa: ASYNC110 - either may be the end
            await asyncio.sleep(_STEP_BACK_POLL_S)

    def abandon(self) -> None:
        """The task failed: the publisher may come back and go on behind what is in the log."""
        self._close("internal", "this stream could not be handled; connect again")
        if self._writer is not None:
            self._site.broadcasts.interrupt(self._writer.broadcast, "internal error", clean=False)

    def _close(self, code: str, text: str) -> None:
        self._diary.note(now_ms(), code, text)
        self.publisher.close(code, text)

    # --- the task

    async def run(self, now_us: Callable[[], int]) -> None:
        """The session's task."""
        _PUBLISHERS.inc()
        try:
            await self._wait_for_predecessor()
            self._diary.note(now_ms(), "connected", f"{self.publisher.encoder or 'an encoder'} connected")
            self._promotion = Promotion(self._site, self.key.channel_id, self.slot)
            if self._promotion.may_begin():
                await self._begin()
            await self._work(now_us)
            await self._finish(now_us())
        finally:
            await self._leave()
            _PUBLISHERS.dec()
            self.done.set()

    async def _wait_for_predecessor(self) -> None:
        if self._predecessor is None:
            return
        try:
            async with asyncio.timeout(_PREDECESSOR_S):
                await self._predecessor.done.wait()
        except TimeoutError:
            self._log.warning("predecessor_does_not_end")
        self._predecessor = None

    async def _work(self, now_us: Callable[[], int]) -> None:
        while True:
            await self._sleep()
            await self._take_queue()
            if self._failure is not None:
                raise self._failure
            if self._ending is not None:
                return
            if self._stepping is not None:
                await self._give_way(now_us())
            elif self._writer is None and self._promotion is not None:
                await self._consider(self._promotion)
            elif self._writer is not None and self._writer.over:
                await self._begin_anew(self._writer, now_us())
            self.tell(now_us())

    async def _sleep(self) -> None:
        if not self._wake.is_set():
            try:
                async with asyncio.timeout(None if self._writer is not None else _WAITING_TICK_S):
                    await self._wake.wait()
            except TimeoutError:
                return
        self._wake.clear()

    async def _take_queue(self) -> None:
        while self._queue:
            self._handle_next()
            if len(self._queue) % 64 == 63:
                await asyncio.sleep(0)  # a long queue must not hold up other publishers

    def _handle_all(self, writer: BroadcastWriter) -> None:
        """All that is queued, for the log."""
        queue, self._queue = self._queue, deque()
        self.queued_bytes = 0
        captures = self._site.captures
        for event, arrived_us in queue:
            if may_configure(event):
                self.head.note(event)
            if captures.running:
                captures.take(self.key.channel, event, arrived_us)
            self._give(writer, event, arrived_us)
        self._leave_if_unusable(writer)

    def _give(self, writer: BroadcastWriter, event: Event, arrived_us: int) -> None:
        """An event for the log, or, when its broadcast is over, for the next one."""
        was_over = writer.over
        writer.handle(event, arrived_us)
        if not writer.over:
            return
        if not was_over:
            self._reel = Reel(self.head)
            self._wake.set()
            if writer.opening:
                return
        self._reel.push(event, arrived_us)

    def _handle_next(self) -> None:
        event, arrived_us = self._queue.popleft()
        self.queued_bytes -= _size(event)
        if may_configure(event):
            self.head.note(event)
        writer = self._writer
        if writer is None:
            self._reel.push(event, arrived_us)
            return
        if self._site.captures.running:
            self._site.captures.take(self.key.channel, event, arrived_us)
        self._give(writer, event, arrived_us)
        self._leave_if_unusable(writer)

    def _leave_if_unusable(self, writer: BroadcastWriter) -> None:
        if writer.packager.unusable and self._ending is None:
            self._close("unusable", next(iter(writer.packager.problems.values())).text)
            self.end("nothing usable arrived", clean=True)

    # --- becoming active and waiting again

    async def _begin(self) -> None:
        """Becomes active at once: there is no rival, and what was there before has ended."""
        opened = await self._open()
        if opened is not None:
            self._start(opened, from_key_frame(self._reel))

    async def _begin_anew(self, writer: BroadcastWriter, now_us: int) -> None:
        """Goes on in another broadcast, or anew in this one, with what came since then."""
        self._writer = None
        self.publisher.release()
        await writer.finish(now_us)
        self._problems |= writer.packager.problems
        if writer.over == PICTURES:
            self._diary.note(now_ms(), "pictures", "pictures come as well")
            opened = await self._open()
        else:
            why = f"the {writer.over} is encoded otherwise"
            self._diary.note(now_ms(), f"other_{writer.over}", f"{why}: a new broadcast begins")
            self._site.broadcasts.end(writer.broadcast, why)
            opened = await self._open(instead_of=writer.broadcast.broadcast_id)
        if opened is not None:
            start = from_key_frame(self._reel)._replace(overlap_us=0)
            if writer.opening:
                start = Start([*writer.opening, *((one.event, one.arrived_us) for one in self._reel.held())], None)
            self._start(opened, start)

    async def _consider(self, promotion: Promotion) -> None:
        """Becomes active if it is this publisher's turn, from the best frame there is."""
        why = promotion.due(self._reel)
        if why is None:
            return
        await promotion.relieve()
        opened = await self._open()
        if opened is None:
            return
        start = await self._find_start(promotion, opened)
        _SWITCHES.labels("spliced" if start.join is not None else "key_frame").inc()
        self._log.info("switched_in", reason=why, spliced=start.join is not None)
        self._diary.note(now_ms(), "switched_in", why)
        self._start(opened, start)

    async def _find_start(self, promotion: Promotion, opened: Opened) -> Start:
        """The frame that follows the log's last one may still be on its way here."""
        published = await promotion.published(opened)
        for _ in range(_SPLICE_TRIES):
            start = splice(self._reel, published, opened.resume)
            if start is not None:
                return start
            if not follows(self._reel, published):
                break
            await asyncio.sleep(0.01)
            await self._take_queue()
        return from_key_frame(self._reel)

    async def _open(self, *, instead_of: str = "") -> Opened | None:
        backoff = Backoff(0.1, 1.0)
        try:
            async with asyncio.timeout(_OPEN_S):
                while True:
                    try:
                        await self._site.broadcasts.relieve(self.key.channel_id, self.slot)
                        return await self._site.broadcasts.open(
                            self.key, self.publisher.encoder, instead_of=instead_of
                        )
                    except UnavailableError as error:
                        self._log.warning("open_waits", error=error.detail)
                        await asyncio.sleep(backoff.next_delay())
        except TimeoutError:
            self._close("unavailable", "the media log does not answer; try again in a moment")
            self._site.broadcasts.release(self.key.channel_id)
            self.end("the log is away")
            return None

    def _start(self, opened: Opened, start: Start) -> None:
        self._writer = writer = BroadcastWriter(
            self._site.settings,
            opened,
            broadcasts=self._site.broadcasts,
            appender=self._site.appender,
            on_fenced=self._fenced_off,
            join=start.join,
            overlap_us=start.overlap_us,
            health=self._health,
        )
        self._broadcast_id = opened.broadcast.broadcast_id
        self._log.info(
            "publisher_started",
            broadcast=opened.broadcast.broadcast_id,
            encoder=self.publisher.encoder,
            epoch=opened.broadcast.epoch,
        )
        self._diary.note(now_ms(), "on_air", "on the air")
        self._reel = Reel()
        for event, arrived_us in start.events:
            self._give(writer, event, arrived_us)
        self._rest.end()
        self.ready_at = self.due_at = 0.0
        self.publisher.hold()
        self._site.appender.tick_soon()

    def _fenced_off(self) -> None:
        self._close("taken_over", "another process of this site writes this broadcast")
        self.end("fenced off")

    async def _give_way(self, now_us: int) -> None:
        """Ends what this publisher writes, and waits from now on."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.finish(now_us)
            self._problems |= writer.packager.problems
            self._reel = Reel(self.head)
            self._diary.note(now_ms(), "waiting", "the other encoder of this channel is on the air")
            self._log.info("stepped_back")
        if self._promotion is not None:
            self._promotion.stepped_back()
        stepping, self._stepping = self._stepping, None
        if stepping is not None:
            stepping.set()

    # --- the end

    async def _finish(self, now_us: int) -> None:
        """Ends the segments and waits until the log has everything, so that a successor can go on."""
        writer = self._writer
        reason, clean = self._ending or ("stopped", False)
        self._log.info("publisher_ended", reason=reason)
        self._diary.note(now_ms(), "ended", reason)
        if writer is not None:
            await writer.finish(now_us)
            if writer.fenced:
                self._site.broadcasts.leave(writer.broadcast)
            else:
                self._site.broadcasts.interrupt(writer.broadcast, reason, clean=clean)

    async def _leave(self) -> None:
        if self._promotion is not None:
            await self._promotion.close()
        self._reports.close()
        figures, channel_id = self._site.figures, self.key.channel_id
        if self._writer is not None:
            self._problems |= self._writer.packager.problems
            figures.delete(subjects.health_key(channel_id))
        session = self._diary.ended(now_ms(), self._broadcast_id)
        figures.put(subjects.session_key(channel_id, self.slot), session)
        if self._broadcast_id:
            report = self._reports.of(session, list(self._problems.values()), self._site.settings.node.edge_id)
            self._site.records.emit(report)

    def tell(self, now_us: int) -> None:
        """Writes how it fares, where that is due. To be called every second while it is active."""
        if self._ending is None:
            self._keep_diary(now_us // 1000)
            self._tell_health(now_us)

    def _tell_health(self, now_us: int) -> None:
        report = self._reports.due(now_us) if self._writer is not None else None
        if report is not None:
            self._site.figures.put(subjects.health_key(self.key.channel_id), report)

    def _keep_diary(self, at_ms: int) -> None:
        if not self._diary.is_due(at_ms):
            return
        writer = self._writer
        record = self._diary.record(
            at_ms,
            broadcast_id=writer.broadcast.broadcast_id if writer is not None else "",
            slot=self.slot,
            queued_bytes=self.queued_bytes,
            spool_bytes=self._site.appender.pending_bytes,
            quirks=list(writer.packager.quirks) if writer is not None else [],
        )
        self._site.figures.put(subjects.session_key(self.key.channel_id, self.slot), record)


def _size(event: Event) -> int:
    body = len(event.body) if isinstance(event, (VideoData, AudioData)) else 0
    return body + _ITEM_BYTES
