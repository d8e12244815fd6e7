"""What the tracks of one publisher session share: the timeline, the renditions, and what was found out."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from appliance.contracts.media import VIDEO_TIMESCALE, Init, Problem
from edge.ingest.hints import Hints
from edge.ingest.rendition import Append, RenditionOutput, ResumePoint
from edge.media.health import Health
from edge.media.segmenter import Chunk
from edge.media.segmenter_config import SegmenterConfig
from edge.media.timeline import BASE_OFFSET, Timeline

FRAME_US = 100_000  # a frame ends so much later than it came, at most


class PackagerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. `repair`: somebody makes a rendition to be watched of a source that players cannot take.

    `cut_by_time`: that was found out in an earlier session of the broadcast. `chunk_s`: how long the messages are
    that somebody takes while their part still grows; `fine`: pictures begin with those.
    """

    part_target_s: float = 0.35
    segment_target_s: float = 2.0
    chunk_s: float = 0.1
    fine: bool = True
    cut_by_time: bool = False
    repair: bool = True


class Join(NamedTuple):
    """A publisher's stamp (ms, as sent) and the media time (90 kHz) it stands for: where the log ends."""

    stamp: int
    media_time: int


class Shared:
    """See the module's docstring. Made once per session; `timeline` is set when probing ends."""

    def __init__(
        self,
        config: PackagerConfig,
        epoch: int,
        resume: Mapping[str, ResumePoint],
        inits: Mapping[str, Sequence[Init]],
        target_duration_s: int | None,
        join: Join | None = None,
        health: Health | None = None,
        overlap_us: int = 0,
    ) -> None:
        self.config = config
        self.epoch = epoch
        self.resume = dict(resume)
        self.inits = dict(inits)
        self.target_duration_s = target_duration_s
        self.revision = 0  # grows with each change of what the broadcast's records are made of
        self.join = join
        self.health = health or Health()
        self.needs_repair = False
        self.fine_pictures, self.fine_sound = config.fine, False
        self.hints = Hints()
        self.timeline = Timeline()
        self.renditions: dict[str, RenditionOutput] = {}
        self.given_up: list[str] = []  # renditions of the broadcast that nobody is offered any more
        self.problems: dict[str, Problem] = {}
        self.quirks: list[str] = []
        self.overlap = 0  # 90 kHz: the first stamp is so long before the end of the log
        self._overlap_us = overlap_us  # at most
        self.late = 0  # pictures that came when their time had been told as missing
        self.is_other_video = False  # it comes in another codec than the broadcast's
        self.discontinuity = False  # the next key frame of the source starts one

    def problem(self, problem: Problem) -> None:
        """Each code once; the first text stays."""
        if problem.code not in self.problems:
            self.problems[problem.code] = problem
            self.revision += 1

    def announce(self, target_duration_s: int) -> None:
        """The target duration is known from now on."""
        self.target_duration_s = target_duration_s
        self.revision += 1

    def end_for_other_video(self) -> None:
        """Pictures come in another codec than before: no more of them belongs to the broadcast."""
        self.is_other_video = True
        self.revision += 1

    def give_up(self, name: str) -> None:
        """A rendition of the broadcast comes no more, or cannot be begun with."""
        self.given_up.append(name)
        self.revision += 1

    def quirk(self, kind: str) -> None:
        """Something tolerated, each kind once."""
        if kind not in self.quirks:
            self.quirks.append(kind)

    def output(self, name: str, timescale: int) -> RenditionOutput:
        """The rendition `name`, going on where the log ends."""
        point = self.resume.get(name)
        output = RenditionOutput(
            name,
            timescale,
            self.epoch,
            inits=self.inits.get(name, ()),
            last=point.header if point is not None else None,
            bandwidth=point.bandwidth if point is not None else 0,
            dsn=self._discontinuities(),
        )
        self.renditions[name] = output
        return output

    def _discontinuities(self) -> int:
        """Of the broadcast so far: a rendition that joins late counts on from there."""
        counted = [point.header.dsn for point in self.resume.values()]
        counted += [output.dsn for output in self.renditions.values()]
        return max(counted, default=0)

    def close_left_open(self, output: RenditionOutput, now_us: int) -> list[Append]:
        """Ends the segment that an earlier process left open."""
        point = self.resume.get(output.name)
        closing = output.closing(point, late_us=now_us) if point is not None else None
        return [closing] if closing is not None else []

    def find_overlap(self, now_us: int) -> None:
        """Another publisher was on the air when the first stamp came, at `now_us`: how much of this one's is there.

        By the wall clock of the log's end, unless its last frame came well before: an encoder's clock may be fast.
        """
        last = self.last_point()
        if last is not None:
            there_us = min(last.end_pdt_us, last.header.late_us + FRAME_US) - now_us
            self.overlap = max(0, min(there_us, self._overlap_us)) * 9 // 100

    def base(self, now_us: int) -> int:
        """Media time of the first stamp: after what the log holds and the time that passed since, or `overlap`."""
        last = self.last_point()
        if last is None:
            return BASE_OFFSET
        return last.end_media_time - self.overlap + max(0, now_us - last.end_pdt_us) * 9 // 100

    def last_point(self) -> ResumePoint | None:
        """Where the broadcast's media ends in the log, over all renditions."""
        return max(self.resume.values(), key=lambda point: point.end_media_time, default=None)

    def next_msn(self) -> int:
        """The segment after all that the log holds."""
        return max((point.header.msn + 1 for point in self.resume.values()), default=0)

    def serial(self, name: str) -> int:
        """The next part's serial of a rendition."""
        point = self.resume.get(name)
        return 0 if point is None else point.header.next_serial

    def segmenter_config(self, *, max_segment_s: int, given_boundaries: bool = False) -> SegmenterConfig:
        """For video."""
        config = self.config
        return SegmenterConfig(
            timescale=VIDEO_TIMESCALE,
            part_target=int(config.part_target_s * VIDEO_TIMESCALE),
            segment_target=int(config.segment_target_s * VIDEO_TIMESCALE),
            max_segment=max_segment_s * VIDEO_TIMESCALE,
            chunk_target=self.chunk_target(),
            tapered=not self.fine_sound,
            given_boundaries=given_boundaries,
            contiguous=True,
        )

    def chunk_target(self) -> int:
        """Of pictures, in their ticks; 0: a part is one chunk."""
        return int(self.config.chunk_s * VIDEO_TIMESCALE) if self.fine_pictures else 0

    def appends(self, output: RenditionOutput, chunks: list[Chunk], now_us: int) -> list[Append]:
        """Log messages of chunks that know their wall clock."""
        return [output.append(chunk, late_us=now_us) for chunk in chunks] if chunks else []
