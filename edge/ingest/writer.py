"""One stretch of a broadcast written by one publisher: from its packager into the part log and the records."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from appliance.contracts import subjects
from appliance.contracts.errors import NearcastError
from appliance.contracts.media import (
    AUDIO,
    AUDIO_AAC,
    CHUNK_HEADER,
    SOURCE,
    Broadcast,
    BroadcastState,
    VideoFormat,
)
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import Tally, counter
from appliance.runtime.settings import Settings
from edge.ingest.appends import Appends
from edge.ingest.broadcasts import Broadcasts, Opened
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append
from edge.ingest.shared import Join
from edge.media.health import Health
from edge.media.ladder import Contribution, SourceDescription, ladder_of
from edge.protocols.rtmp import AudioData, Cue, Event, Metadata, VideoData

PICTURES: Final = "pictures"
_FLUSH_S: Final = 10.0
_LARGEST: Final = 1 << 16  # pixels
_PLAYABLE_SOUND: Final = "mp4a.40."  # RFC 6381; other sound is made into AAC by the transcoder

_PROBLEMS: Final = counter("nearcast_ingest_problems_total", "Problems found in publishers' streams.", ["code"])
CHUNKS: Final = Tally(counter("nearcast_ingest_chunks_total", "Chunks given to the part log."))
_LATE: Final = counter("nearcast_ingest_late_pictures_total", "Pictures that came too long after their sound.")


class BroadcastWriter:
    """Feed `handle`; `finish` when the publisher goes or steps back. `fenced`: another writes the broadcast.

    `over`, empty or what is other: what comes belongs to another broadcast, because players cannot follow it here,
    or for PICTURES to another session of this one, which had only sound so far. Nothing more is taken.
    """

    def __init__(
        self,
        settings: Settings,
        opened: Opened,
        *,
        broadcasts: Broadcasts,
        appender: Appends,
        on_fenced: Callable[[], None],
        health: Health,
        join: Join | None = None,
        overlap_us: int = 0,
    ) -> None:
        """`join`: go on in the middle of a GOP, exactly where the log ends. `overlap_us`: see `Start`."""
        media = settings.media
        self.fenced = False
        self.over = ""
        self.opening: list[tuple[Event, int]] = []  # what came while nothing could be written yet
        self.broadcast = opened.broadcast
        self.packager = Packager(
            PackagerConfig(
                part_target_s=opened.broadcast.part_target_s,
                segment_target_s=media.segment_target_s,
                chunk_s=media.chunk_s,
                fine=settings.transcode.enabled,
                repair=settings.transcode.enabled,
                cut_by_time=_was_repaired(opened.broadcast),
            ),
            epoch=opened.broadcast.epoch,
            resume=opened.resume,
            inits=opened.inits,
            target_duration_s=opened.broadcast.target_duration_s if opened.announced else None,
            join=join,
            overlap_us=overlap_us,
            health=health,
        )
        self._transcode = settings.transcode
        self._broadcasts = broadcasts
        self._appender = appender
        self._on_fenced = on_fenced
        self._fences = {name: point.sequence for name, point in opened.resume.items()}
        self._pending: dict[str, asyncio.Future[int]] = {}
        self._reported: set[str] = set()
        self._late = 0
        self.appends = 0  # messages given to the log
        self._revision = -1  # of the packager, when the records were brought up to date
        self._described_by: tuple[object, ...] = ()
        self._log = get_logger("ingest.writer").bind(
            channel=opened.broadcast.channel, broadcast=opened.broadcast.broadcast_id
        )

    @property
    def wants_rungs(self) -> bool:
        """Whether its pictures are to be made into others, or that is not known yet. Previews alone can wait."""
        broadcast = self.broadcast
        if not broadcast.ladder:
            return broadcast.has_video or not broadcast.has_audio
        return not set(broadcast.ladder) <= {SOURCE, *broadcast.contributed}

    def handle(self, event: Event, now_us: int) -> None:
        """An event of the publisher; `now_us` is the wall clock at which it came."""
        if self.fenced or self.over:
            return
        packager = self.packager
        if packager.is_probing:
            self.opening.append((event, now_us))
        appends = self._package(event, now_us)
        if packager.revision != self._revision:
            self.over = self._what_is_other()
        if self.over:
            if self.appends:
                self._append_all(appends)
            return
        if self.opening and not packager.is_probing:
            self.opening = []
        if appends:
            self._append_all(appends)
        if appends or packager.revision != self._revision:
            self._keep_records()

    def _package(self, event: Event, now_us: int) -> list[Append]:
        packager = self.packager
        if isinstance(event, VideoData):
            appends = packager.video(event.timestamp, event.body, now_us=now_us)
            if packager.late != self._late:
                _LATE.inc(packager.late - self._late)
                self._late = packager.late
            return appends
        if isinstance(event, AudioData):
            return packager.audio(event.timestamp, event.body, now_us=now_us)
        if isinstance(event, Metadata):
            packager.metadata(event.values)
        elif isinstance(event, Cue):
            self._broadcasts.moments.cue(self.broadcast, event.text, now_us // 1000)
        return []

    async def finish(self, now_us: int) -> None:
        """Ends the segments and waits until the log has everything, so that a successor can go on."""
        if not self.fenced and (self.appends or not self.over):
            self._append_all(self.packager.finish(now_us=now_us))
        if not (self.fenced or self.over):
            self._keep_records()
        if self._pending:
            await asyncio.wait(self._pending.values(), timeout=_FLUSH_S)

    # --- the log

    def _append_all(self, appends: list[Append]) -> None:
        broadcast_id = self.broadcast.broadcast_id
        for append in appends:
            fence = self._fences.pop(append.rendition, None)
            if fence is None and append.rendition not in self._pending:
                fence = 0
            future = self._appender.append(
                subjects.media(broadcast_id, append.rendition),
                append.data,
                message_id=append.header.message_id(broadcast_id, append.rendition),
                headers={CHUNK_HEADER: append.header.encode()},
                expect_last=fence,
            )
            future.add_done_callback(self._acknowledged)
            self._pending[append.rendition] = future
        CHUNKS.add(len(appends))
        if appends and not self.appends:
            self._revision = -1
        self.appends += len(appends)

    def _acknowledged(self, future: "asyncio.Future[int]") -> None:
        if future.cancelled() or not isinstance(future.exception(), NearcastError) or self.fenced:
            return
        self.fenced = True
        self._on_fenced()

    # --- the records

    def _keep_records(self) -> None:
        """Brings the live records up to date with what the packager has found out."""
        packager, broadcast = self.packager, self.broadcast
        for output in packager.renditions.values():
            if output.dirty and output.inits:
                output.dirty = False
                self._broadcasts.save_rendition(output.record(broadcast.broadcast_id))
        if packager.revision == self._revision:
            return
        self._revision = packager.revision
        found = self._found()
        if found == self._described_by:
            return
        self._described_by = found
        changed = self._described(broadcast)
        ready = self.appends > 0 and packager.target_duration_s is not None
        if ready and broadcast.state is not BroadcastState.LIVE:
            self.broadcast = self._broadcasts.go_live(changed)
            self._log.info("broadcast_live", target_duration_s=changed.target_duration_s, ladder=changed.ladder)
        elif changed != broadcast:
            self.broadcast = self._broadcasts.save(changed)

    def _found(self) -> tuple[object, ...]:
        """What the record is made of."""
        packager = self.packager
        return (
            self.appends > 0,
            packager.target_duration_s,
            packager.has_video,
            packager.has_audio,
            packager.has_captions,
            len(packager.problems),
            len(packager.contributed),
            len(packager.given_up),
            packager.source_playable,
            sum(len(output.inits) for output in packager.renditions.values()),
        )

    def _described(self, broadcast: Broadcast) -> Broadcast:
        packager = self.packager
        for code in packager.problems.keys() - self._reported:
            self._reported.add(code)
            _PROBLEMS.labels(code).inc()
            self._log.info("publisher_problem", code=code)
        fixed = broadcast.started_at_ms > 0
        target = broadcast.target_duration_s if fixed else packager.target_duration_s
        known = packager.has_video or packager.has_audio  # else it is still being found out
        changed = msgspec.structs.replace(
            broadcast,
            has_video=packager.has_video if known else broadcast.has_video,
            has_audio=packager.has_audio if known else broadcast.has_audio,
            has_captions=packager.has_captions or broadcast.has_captions,
            problems=list(packager.problems.values()),
            target_duration_s=target or broadcast.target_duration_s,
            audio=self._sound(broadcast),
        )
        became_unplayable = SOURCE in broadcast.ladder and packager.has_video and not packager.source_playable
        sent = [name for name in packager.contributed if name not in broadcast.contributed]
        changed = msgspec.structs.replace(changed, contributed=[*broadcast.contributed, *sent])
        stays = fixed and broadcast.ladder and not became_unplayable
        return msgspec.structs.replace(changed, ladder=self._offered(changed) if stays else self._ladder(changed))

    def _offered(self, broadcast: Broadcast) -> list[str]:
        """The ladder with what has begun since, and with rungs in the place of what was given up."""
        gone = self.packager.given_up
        left = [name for name in broadcast.ladder if name not in gone]
        wanted = [*self.packager.contributed, *(self._ladder(broadcast) if gone else [])]
        new = [name for name in dict.fromkeys(wanted) if name not in left and name not in gone]
        if new:
            left = sorted([*left, *new], key=_side, reverse=True)
        return left or broadcast.ladder

    def _what_is_other(self) -> str:
        """What is encoded otherwise from now on than players can follow; empty: nothing."""
        if self.packager.has_late_pictures:
            return PICTURES
        if self.packager.is_other_video:
            return "video"
        return "sound" if self._is_other_sound() else ""

    def _is_other_sound(self) -> bool:
        """Whether what viewers hear is encoded otherwise from now on.

        CODECS of a multivariant playlist tell of all that comes, and it is read once (RFC 8216, 4.3.4.2): GStreamer
        ends with other sound and mpv stands still. What is made into AAC may change.
        """
        output = self.packager.renditions.get(AUDIO)
        forms = [init.audio.codec for init in output.inits if init.audio is not None] if output is not None else []
        if len(forms) < 2 or self.broadcast.audio == AUDIO_AAC:
            return False
        before, now = forms[-2:]
        return now != before and not (before.startswith(_PLAYABLE_SOUND) and now.startswith(_PLAYABLE_SOUND))

    def _sound(self, broadcast: Broadcast) -> str:
        """Which rendition viewers hear. Once made into AAC it stays so: players do not change it in mid-stream."""
        output = self.packager.renditions.get(AUDIO)
        form = output.inits[-1].audio if output is not None and output.inits else None
        if broadcast.audio == AUDIO_AAC or form is None or not self._transcode.enabled:
            return broadcast.audio
        return AUDIO if form.codec.startswith(_PLAYABLE_SOUND) else AUDIO_AAC

    def _ladder(self, broadcast: Broadcast) -> list[str]:
        """Names of the renditions viewers may expect of what comes now."""
        video = self._video(SOURCE)
        if video is None:
            return []
        gone = self.packager.given_up
        given = [(name, self._video(name)) for name in self.packager.contributed if name not in gone]
        ladder = ladder_of(
            SourceDescription(
                width=video.width,
                height=video.height,
                frame_rate=video.frame_rate,
                sample_aspect=video.sample_aspect,
                codec=video.codec,
                playable=self.packager.source_playable or not self._transcode.enabled,
                contributed=tuple(
                    Contribution(name, form.height, form.codec) for name, form in given if form is not None
                ),
                taken=tuple(broadcast.contributed),
            ),
            transcoded=self._transcode.enabled,
            wanted=self._transcode.partner_rungs if self.broadcast.priority else self._transcode.rungs,
        )
        return ladder.names

    def _video(self, name: str) -> VideoFormat | None:
        """What the first initialisation segment of a rendition says: the ladder stays as it began."""
        output = self.packager.renditions.get(name)
        return output.inits[0].video if output is not None and output.inits else None


def _was_repaired(broadcast: Broadcast) -> bool:
    """Whether an earlier session found that the source cannot be watched as it is."""
    return bool(broadcast.ladder) and SOURCE not in broadcast.ladder


def _side(name: str) -> int:
    """The short side that a rendition is named after; the source is the largest."""
    digits = name.partition("p")[0]
    return int(digits) if digits.isdecimal() else _LARGEST
