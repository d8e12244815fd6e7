"""A decoder for each rung, on a card: all are given the same packets, and scale while they decode.

A picture is handed out once every rung has it. Which rungs want pictures changes at key frames: a decoder begins
with one, and one that is no longer wanted ends when it has given the pictures that are shown before it. So a paused
rung costs the card nothing.
"""

from collections import deque
from collections.abc import Sequence

import av.error
from av.video.frame import VideoFrame

from edge.transcode.decoders.base import Card, CardError, Decoded, Session, VideoPacket, Wanted
from edge.transcode.engines.base import TIME_BASE
from edge.transcode.forms import VideoForm

_MOST_SILENT = 40  # packets without a picture: more than any decoder holds back (16 frames, of two fields)


class Bank:
    """One source's."""

    def __init__(self, card: Card, form: VideoForm, wanted: Sequence[Wanted]) -> None:
        self._card = card
        self._form = form
        self._wanted = tuple(wanted)
        self._members: list[_Member] = []

    def want(self, wanted: Sequence[Wanted]) -> None:
        """Who gets pictures from the next key frame on; somebody has to."""
        self._wanted = tuple(wanted)

    def decode(self, packet: "VideoPacket | None") -> list[Decoded]:
        """As `Decoder`. The first packet is a key frame."""
        if packet is not None and packet.is_keyframe and packet.pts is not None:
            self._change(packet.pts)
        for member in self._members:
            member.feed(packet)
        return self._matched()

    def _change(self, at: int) -> None:
        """From the pictures at `at` on, those get them that want them now."""
        kept = set()
        for member in self._members:
            if member.wanted in self._wanted and member.ends is None:
                kept.add(member.wanted)
            else:
                member.retire(at)
        for wanted in self._wanted:
            if wanted not in kept:
                self._members.append(self._member(wanted, at))

    def _member(self, wanted: Wanted, at: int) -> "_Member":
        try:
            session = self._card.open(self._form, wanted.size, wanted.on_card)
        except av.error.FFmpegError as error:
            raise CardError(f"a decoder for {wanted.rung} does not open: {error}") from error
        pixels = self._card.pixels if wanted.on_card else self._card.memory
        return _Member(wanted, session, at, (pixels, self._card.memory))

    def _matched(self) -> list[Decoded]:
        """The pictures that all have; what one has and another has passed over is lost to all."""
        found: list[Decoded] = []
        while heads := [member.head for member in self._members if member.head is not None]:
            at = min(heads)
            shown = [member for member in self._members if member.shows(at)]
            if any(member.waits for member in shown):
                break
            frames = {member.wanted.rung: frame for member in shown if (frame := member.take(at)) is not None}
            if len(frames) == len(shown):
                found.append(Decoded(max(frames.values(), key=lambda one: one.width * one.height), frames))
        self._members = [member for member in self._members if not member.is_over]
        return found


class _Member:
    """One rung's decoder and the pictures that wait for those of the others."""

    def __init__(self, wanted: Wanted, session: Session, begins: int, formats: tuple[str, str]) -> None:
        """`begins` and `ends` bound the times of its pictures, in ticks."""
        self.wanted = wanted
        self.ends: int | None = None
        self._begins = begins
        self._session: Session | None = session
        self._formats = formats
        self._pool = object()  # of its pictures' memory: encoders tell by it when another decoder goes on
        self._frames: deque[VideoFrame] = deque()
        self._silent = 0

    @property
    def head(self) -> int | None:
        """The time of its next picture."""
        return self._frames[0].pts if self._frames else None

    @property
    def waits(self) -> bool:
        """Whether its next picture is still to come."""
        return not self._frames and self._session is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return not self._frames and self._session is None

    def shows(self, at: int) -> bool:
        """Whether the picture at `at` is one of its own."""
        return self._begins <= at and (self.ends is None or at < self.ends)

    def retire(self, at: int) -> None:
        """From `at` on its pictures are not wanted."""
        if self.ends is None:
            self.ends = at
            self._frames = deque(frame for frame in self._frames if frame.pts is not None and frame.pts < at)

    def take(self, at: int) -> VideoFrame | None:
        """Its picture at `at`."""
        return self._frames.popleft() if self.head == at else None

    def feed(self, packet: "VideoPacket | None") -> None:
        """CardError when the session gives up, or gives what nobody here asked for."""
        if self._session is None:
            return
        try:
            frames = self._session.decode(packet)
        except av.error.InvalidDataError:
            frames = []
        except av.error.FFmpegError as error:
            raise CardError(f"the decoder for {self.wanted.rung} fails: {error}") from error
        self._silent = 0 if frames else self._silent + 1
        for frame in frames:
            self._add(frame)
        if packet is None or (self.ends is not None and self._silent > _MOST_SILENT):
            self._session = None
        elif self._silent > _MOST_SILENT:
            raise CardError(f"the decoder for {self.wanted.rung} gives no pictures")

    def _add(self, frame: VideoFrame) -> None:
        inner = frame.sw_format.name if frame.sw_format is not None else self._formats[1]
        if (frame.width, frame.height) != self.wanted.size:
            raise CardError(f"pictures of {frame.width}x{frame.height} instead of {self.wanted.size}")
        if (frame.format.name, inner) != self._formats:
            raise CardError(f"pictures of the format {inner if frame.sw_format is not None else frame.format.name}")
        if frame.pts is None or frame.pts < self._begins:
            return
        if self.ends is not None and frame.pts >= self.ends:
            self._session = None
            return
        frame.time_base = TIME_BASE
        frame.opaque = (self._pool,)  # an object for each frame: PyAV forgets one with the first frame that has it
        self._frames.append(frame)
