"""The life of broadcasts on this edge: which one a publisher belongs to, and what becomes of it afterwards.

    STARTING -> LIVE <-> INTERRUPTED -> ENDED        STARTING -> ENDED

One broadcast per channel. A publisher who returns within the grace time goes on in the same broadcast,
also when it was another process that took the first part.
"""

import asyncio
import random
from typing import NamedTuple, TypeVar

import msgspec

from appliance.contracts import subjects
from appliance.contracts.directory import KeyRecord, Profile
from appliance.contracts.errors import BadInputError, UnavailableError
from appliance.contracts.events import BroadcastEvent, BroadcastEventKind
from appliance.contracts.media import (
    AUDIO,
    CHUNK_HEADER,
    SOURCE,
    VIDEO_TIMESCALE,
    Broadcast,
    BroadcastState,
    ChunkHeader,
    Init,
    Rendition,
)
from appliance.contracts.session import ReleaseRequest
from appliance.runtime.backoff import Backoff
from appliance.runtime.bus import Bus
from appliance.runtime.clock import now_ms
from appliance.runtime.ids import new_id
from appliance.runtime.logs import get_logger
from appliance.runtime.replica import Replica
from appliance.runtime.settings import Settings
from appliance.runtime.tasks import Tasks
from edge.ingest.keys import channel_of
from edge.ingest.moments import MomentBook
from edge.ingest.records import Records
from edge.ingest.rendition import ResumePoint

_Record = TypeVar("_Record")

_DEAD_AFTER_S = 3.0  # a part log that does not grow for so long has no living writer
_RELEASE_S = 12.0
_FORGET_EVERY_S = 60.0
_FORGET_AFTER_S = 120.0  # beyond the life of its media: a player may have its last playlist so long
_DEFAULT_AUDIO_RATE = 48_000


class Opened(NamedTuple):
    """A broadcast ready for a publisher session."""

    broadcast: Broadcast
    resume: dict[str, ResumePoint]
    inits: dict[str, list[Init]]
    announced: bool  # it was live before: its target duration is fixed


class Broadcasts:
    """The broadcasts this process knows, by channel. Only ingest writes their records."""

    def __init__(
        self,
        settings: Settings,
        local: Bus,
        live: Replica,
        directory: Replica,
        records: Records,
        tasks: Tasks,
        instance: str,
    ) -> None:
        """`instance` is this process, as others of the site ask for it."""
        self._settings = settings
        self._instance = instance
        self._edge_id = settings.node.edge_id
        self._local = local
        self._live = live
        self._directory = directory
        self._records = records
        self._tasks = tasks
        self._by_channel: dict[str, Broadcast] = {}
        self._renditions: dict[tuple[str, str], Rendition] = {}
        self._graces: dict[str, asyncio.Task[None]] = {}
        self.moments = MomentBook(live, records)
        self._log = get_logger("ingest.broadcasts")

    def recover(self) -> None:
        """Takes care of broadcasts that a dead process left behind, and from now on of those that are over."""
        self._tasks.start(self._forget_for_ever(), "ingest-forget")
        for _, data in self._live.items("broadcast."):
            broadcast = _decode(data, Broadcast)
            if broadcast is None or broadcast.edge_id != self._edge_id:
                continue
            if broadcast.state is not BroadcastState.ENDED:
                self._start_grace(broadcast, self._settings.ingest.grace_s, look_first=True)

    async def _forget_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_FORGET_EVERY_S * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            self.forget_ended(now_ms())

    def forget_ended(self, at_ms: int) -> None:
        """Removes the records of broadcasts that viewers can no longer rewind in."""
        limit_ms = at_ms - int(1000 * (self._settings.rewind_s + _FORGET_AFTER_S))
        for key, data in self._live.items("broadcast."):
            broadcast = _decode(data, Broadcast)
            if broadcast is None or broadcast.edge_id != self._edge_id:
                continue
            if broadcast.state is BroadcastState.ENDED and broadcast.changed_at_ms < limit_ms:
                self._records.delete(key)
                if self._live.get(subjects.moments_key(broadcast.broadcast_id)) is not None:
                    self._records.delete(subjects.moments_key(broadcast.broadcast_id))
                for rendition, _ in self._live.items(f"rendition.{broadcast.broadcast_id}."):
                    self._records.delete(rendition)

    async def relieve(self, channel_id: str, slot: str) -> None:
        """Has the other process that writes the channel's broadcast, if there is one, finish and let go.

        One that does not answer is dead or will be fenced off by the log.
        """
        known = self.known(channel_id)
        if known is None or known.ingest in ("", self._instance):
            return
        if known.state not in (BroadcastState.STARTING, BroadcastState.LIVE):
            return
        subject = subjects.ingest_release(self._edge_id, known.ingest)
        wanted = msgspec.json.encode(ReleaseRequest(channel_id=channel_id, slot=slot))
        try:
            await self._local.request(subject, wanted, timeout_s=_RELEASE_S)
        except UnavailableError as error:
            self._log.info("other_process_is_gone", broadcast=known.broadcast_id, error=error.detail)

    async def open(self, key: KeyRecord, encoder: str, *, instead_of: str = "") -> Opened:
        """The broadcast of a new publisher session: a known one to go on with, or a new one.

        `instead_of`: one that was ended a moment ago, of which the records may not tell yet.

        UnavailableError when the part log cannot be asked where it ends.
        """
        slot = "standby" if key.standby else "primary"
        self._stop_grace(key.channel_id)
        known = self.known(key.channel_id)
        if known is not None and self._is_other_stream(key, known):
            self.end(known, "another stream was announced")
            known = None
        if known is None or known.broadcast_id == instead_of:
            announced = key.stream_id if key.stream_id != instead_of else ""
            broadcast_id = announced if self._is_usable(announced) else new_id()
            broadcast = self._new(key, broadcast_id, encoder)
        else:
            broadcast = msgspec.structs.replace(known, encoder=encoder)
        resume, inits = await self._where_it_ends(broadcast)
        epochs = [point.header.epoch for point in resume.values()]
        epoch = max([broadcast.epoch, *epochs]) + 1
        broadcast = msgspec.structs.replace(broadcast, epoch=epoch, ingest=self._instance, slot=slot)
        self.save(broadcast)
        return Opened(broadcast, resume, inits, broadcast.started_at_ms > 0)

    def save(self, broadcast: Broadcast) -> Broadcast:
        """Writes the record, stamped with the time of the change."""
        broadcast = msgspec.structs.replace(broadcast, changed_at_ms=now_ms())
        self._by_channel[broadcast.channel_id] = broadcast
        self._records.put(subjects.broadcast_key(broadcast.broadcast_id), broadcast)
        return broadcast

    def save_rendition(self, rendition: Rendition) -> None:
        """Writes a rendition's record."""
        self._renditions[rendition.broadcast_id, rendition.name] = rendition
        self._records.put(subjects.rendition_key(rendition.broadcast_id, rendition.name), rendition)

    def go_live(self, broadcast: Broadcast) -> Broadcast:
        """Media is in the log and the target duration is known."""
        first = broadcast.started_at_ms == 0
        started = now_ms() if first else broadcast.started_at_ms
        broadcast = self.save(msgspec.structs.replace(broadcast, state=BroadcastState.LIVE, started_at_ms=started))
        self._emit(broadcast, BroadcastEventKind.STARTED if first else BroadcastEventKind.RESUMED)
        return broadcast

    def interrupt(self, broadcast: Broadcast, detail: str, *, clean: bool) -> None:
        """The publisher went away; the grace time begins. `clean`: the encoder said so itself."""
        ingest = self._settings.ingest
        broadcast = self._interrupted(broadcast, detail)
        self._start_grace(broadcast, ingest.stop_grace_s if clean else ingest.grace_s, look_first=False)

    def leave(self, broadcast: Broadcast) -> None:
        """Somebody else wrote to it: it is theirs, unless it turns out that nobody goes on with it."""
        if broadcast.channel_id not in self._graces:
            self._start_grace(broadcast, self._settings.ingest.grace_s, look_first=True)

    def release(self, channel_id: str) -> None:
        """A publisher who was to resume the channel's broadcast did not get that far: it waits on."""
        known = self.known(channel_id)
        if known is not None:
            self._start_grace(known, self._settings.ingest.grace_s, look_first=False)

    def end(self, broadcast: Broadcast, detail: str) -> None:
        """It is over and will not be resumed."""
        was_live = broadcast.started_at_ms > 0
        broadcast = self.save(msgspec.structs.replace(broadcast, state=BroadcastState.ENDED))
        self._by_channel.pop(broadcast.channel_id, None)
        for name in (SOURCE, AUDIO, *broadcast.contributed):
            self._renditions.pop((broadcast.broadcast_id, name), None)
        self.moments.forget(broadcast.broadcast_id)
        if was_live:
            self._emit(broadcast, BroadcastEventKind.ENDED, detail)
        self._log.info("broadcast_ended", broadcast=broadcast.broadcast_id, detail=detail)

    def look(self, broadcast: Broadcast) -> None:
        """What its channel says of it may have changed."""
        self.moments.look(broadcast, channel_of(self._directory, broadcast.channel_id))

    # --- choosing

    def known(self, channel_id: str) -> Broadcast | None:
        """The channel's broadcast that may be resumed: of this process, or of another of this edge."""
        found = self._by_channel.get(channel_id)
        for _, data in self._live.items("broadcast."):
            broadcast = _decode(data, Broadcast)
            if broadcast is None or broadcast.channel_id != channel_id or broadcast.edge_id != self._edge_id:
                continue
            if broadcast.state is BroadcastState.ENDED:
                continue
            if found is None or _age(broadcast) > _age(found):
                found = broadcast
        return found

    def _is_usable(self, stream_id: str) -> bool:
        """Whether a broadcast may have this announced id: it has not ended."""
        if not stream_id:
            return False
        data = self._live.get(subjects.broadcast_key(stream_id))
        record = _decode(data, Broadcast) if data is not None else None
        return record is None or record.state is not BroadcastState.ENDED

    def _is_other_stream(self, key: KeyRecord, known: Broadcast) -> bool:
        return key.stream_id != known.broadcast_id and self._is_usable(key.stream_id)

    def _new(self, key: KeyRecord, broadcast_id: str, encoder: str) -> Broadcast:
        channel = channel_of(self._directory, key.channel_id)
        return Broadcast(
            broadcast_id=broadcast_id,
            channel_id=key.channel_id,
            channel=key.channel,
            user_id=key.user_id,
            edge_id=self._edge_id,
            title=channel.title if channel is not None else "",
            priority=int(channel is not None and channel.partner),
            profile=channel.profile if channel is not None else Profile.LATENCY,
            part_target_s=self._settings.media.part_target_s,
            encoder=encoder,
        )

    async def _where_it_ends(self, broadcast: Broadcast) -> tuple[dict[str, ResumePoint], dict[str, list[Init]]]:
        """Of all that publishers write; what the transcoder makes has ends of its own."""
        broadcast_id = broadcast.broadcast_id
        resume: dict[str, ResumePoint] = {}
        inits: dict[str, list[Init]] = {}
        for name in (SOURCE, AUDIO, *broadcast.contributed):
            usual = _DEFAULT_AUDIO_RATE if name == AUDIO else VIDEO_TIMESCALE
            message = await self._local.last_message(subjects.MEDIA_STREAM, subjects.media(broadcast_id, name))
            if message is None:
                continue
            try:
                header = ChunkHeader.decode(message.headers.get(CHUNK_HEADER, ""))
            except BadInputError:
                self._log.error("chunk_header_not_readable", broadcast=broadcast_id, rendition=name)
                continue
            rendition = self._rendition(broadcast_id, name)
            timescale = rendition.timescale if rendition is not None else usual
            told = rendition.bandwidth if rendition is not None else 0
            resume[name] = ResumePoint(header, message.seq, timescale, told)
            inits[name] = list(rendition.inits) if rendition is not None else []
        return resume, inits

    def _rendition(self, broadcast_id: str, name: str) -> Rendition | None:
        known = self._renditions.get((broadcast_id, name))
        if known is not None:
            return known
        data = self._live.get(subjects.rendition_key(broadcast_id, name))
        return _decode(data, Rendition) if data is not None else None

    # --- grace

    def _interrupted(self, broadcast: Broadcast, detail: str) -> Broadcast:
        if broadcast.started_at_ms == 0 or broadcast.state is BroadcastState.INTERRUPTED:
            self._by_channel[broadcast.channel_id] = broadcast
            return broadcast
        broadcast = self.save(msgspec.structs.replace(broadcast, state=BroadcastState.INTERRUPTED))
        self._emit(broadcast, BroadcastEventKind.INTERRUPTED, detail)
        return broadcast

    def _start_grace(self, broadcast: Broadcast, seconds: float, *, look_first: bool) -> None:
        self._stop_grace(broadcast.channel_id)
        work = self._grace(broadcast, seconds, look_first)
        self._graces[broadcast.channel_id] = self._tasks.start(work, "ingest-grace")

    def _stop_grace(self, channel_id: str) -> None:
        task = self._graces.pop(channel_id, None)
        if task is not None:
            task.cancel()

    async def _grace(self, broadcast: Broadcast, seconds: float, look_first: bool) -> None:
        if look_first:
            written = await self._is_written_by_another(broadcast.broadcast_id)
            if written or self._resumed_elsewhere(broadcast):
                self._graces.pop(broadcast.channel_id, None)
                return
            broadcast = self._interrupted(broadcast, "ingest was restarted")
        await asyncio.sleep(seconds)
        self._graces.pop(broadcast.channel_id, None)
        if self._resumed_elsewhere(broadcast):
            self._by_channel.pop(broadcast.channel_id, None)
            return
        self.end(broadcast, "the publisher did not return")

    async def _is_written_by_another(self, broadcast_id: str) -> bool:
        """Whether another process of this edge is appending to it."""
        before = await self._last_sequences(broadcast_id)
        await asyncio.sleep(_DEAD_AFTER_S)
        return before != await self._last_sequences(broadcast_id)

    async def _last_sequences(self, broadcast_id: str) -> list[int]:
        """Positions of the newest messages; waits while the log is away."""
        backoff = Backoff(0.2, 2.0)
        while True:
            try:
                return await self._read_sequences(broadcast_id)
            except UnavailableError:
                await asyncio.sleep(backoff.next_delay())

    async def _read_sequences(self, broadcast_id: str) -> list[int]:
        sequences = []
        for name in (SOURCE, AUDIO):
            message = await self._local.last_message(subjects.MEDIA_STREAM, subjects.media(broadcast_id, name))
            sequences.append(message.seq if message is not None else 0)
        return sequences

    def _resumed_elsewhere(self, broadcast: Broadcast) -> bool:
        data = self._live.get(subjects.broadcast_key(broadcast.broadcast_id))
        record = _decode(data, Broadcast) if data is not None else None
        return record is not None and record.epoch > broadcast.epoch

    def _emit(self, broadcast: Broadcast, kind: BroadcastEventKind, detail: str = "") -> None:
        self._records.emit(
            BroadcastEvent(
                event_id=new_id(),
                kind=kind,
                broadcast_id=broadcast.broadcast_id,
                channel_id=broadcast.channel_id,
                edge_id=self._edge_id,
                at_ms=now_ms(),
                detail=detail,
            )
        )


def _age(record: Broadcast) -> tuple[int, int]:
    """Which of two records is newer: clocks of one site agree to the millisecond, epochs decide the rest."""
    return record.changed_at_ms, record.epoch


def _decode(data: bytes, kind: type[_Record]) -> _Record | None:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError:
        return None
