"""An ffmpeg child process as engine: for encoders and filters that are not in this process' libraries.

Pictures go in by a pipe, a byte stream comes out by another. How an IDR is forced at any frame from outside:
the child evaluates an expression over each picture's time, and the time of a picture that demands an IDR has
another remainder than the others (times are rounded to 4 ticks of 90 kHz; 2 more say "IDR"). That needs one child
for the life of the rung. The alternatives were a child per GOP (measured: a start of ffmpeg that encodes one 720p
picture takes 0.13 s of CPU, which a spare child hides but does not save: 6 % of a core per rung at 2 s, and on a
GPU a context each time), and picture types of the source, which the decoder of raw video overwrites: it calls
every picture a key frame. Measured against x264 in this process at 720p: 15 % more CPU, one frame later.

The child's times are its own, close to ours: which access unit is of which frame follows from their order, there
being one for each frame and no B-frames, and from the IDR that must come where it was demanded. An access unit is
finished when the delimiter of the next one is there, so an engine of this kind answers one frame late (`encode`
waits for that delimiter up to half a frame, so that it is not two); `drain` sends black pictures after the last
one. Black pictures also come first, which opens the encoder and tells the parameter sets before the first frame.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import av.error
from av.video.frame import VideoFrame

from edge.transcode.engines.annexb import AccessUnitSplitter, Repackager
from edge.transcode.engines.base import Encoded, EngineError, RungFormat
from edge.transcode.engines.matroska import picture_head, stream_head
from edge.transcode.engines.process import EncoderProcess, Piece
from edge.transcode.engines.scaler import Scaler

_TICKS = 90_000
_STEP, _DEMANDS = 4, 2  # ticks: times are multiples of the first, or that and the second
_FORCE = f"expr:gte(mod(round(t*{_TICKS}),{_STEP}),{_DEMANDS})"
_MOST_LAG = 2  # frames that an encoder may keep
_OPEN_S = 10.0
_PATIENCE_S = 3.0  # the other rungs of the broadcast wait with a stuck one


class Recipe(NamedTuple):
    """How a child encodes. `device` are options before the input, `encoder` those of the encoder.

    `filters` make of 4:2:0 pictures what the encoder takes. `scales`: they scale too, to the size given them.
    """

    encoder: Callable[[RungFormat], list[str]]
    filters: Callable[[RungFormat], list[str]]
    device: tuple[str, ...] = ()
    scales: bool = False


class ChildEngine:
    """One rung's encoder in a child process."""

    reorder_delay = 0
    on_card = False

    def __init__(self, recipe: Recipe, form: RungFormat, program: str = "ffmpeg") -> None:
        """Returns when the encoder has shown its parameter sets. EngineError."""
        self._recipe = recipe
        self._form = form
        self._program = program
        self._scaler = Scaler(form.width, form.height)
        self._repackager = Repackager()
        self._cut = False  # pictures of our own were sent: the next frame must not refer to them
        self._size = (form.width, form.height)
        self._splitter = AccessUnitSplitter()
        self._sent: deque[int | None] = deque()  # pts of the frames the child has; None for pictures of ours
        self._late = 1  # frames without an access unit while the encoder keeps none
        self._last_tick = 0
        self._base: int | None = None  # of our times in the child's
        self._process = self._open()

    @property
    def config(self) -> bytes:
        """The AVCDecoderConfigurationRecord."""
        return self._repackager.config

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        """Takes a frame, returns the access units of earlier ones. EngineError."""
        try:
            picture = self._picture(frame, sample_aspect)
        except av.error.FFmpegError as error:
            raise EngineError(f"{self._program}: {error}") from error
        done: list[Encoded] = []
        if self._size != (picture.width, picture.height):
            done = self.drain()
            self.close()
            self._size = (picture.width, picture.height)
            self._process = self._open()
        pts = frame.pts or 0
        key = key or self._cut
        self._cut = False
        if key:
            self._late = 1
        self._sent.append(pts)
        done += self._units(self._process.exchange(self._pieces(picture, self._tick(pts), key)))
        return done + self._in_time()

    def _in_time(self) -> list[Encoded]:
        """What becomes ready in half a frame; an encoder that keeps frames is waited for once a GOP."""
        done: list[Encoded] = []
        deadline = time.monotonic() + 0.5 / float(self._form.rate)
        while len(self._sent) > self._late:
            left_s = deadline - time.monotonic()
            data = self._process.wait(left_s) if left_s > 0 else b""
            if not data:
                self._late = min(self._late + 1, 1 + _MOST_LAG)
                break
            done += self._units(data)
        return done

    def drain(self) -> list[Encoded]:
        """The access units of every frame that the child has. EngineError."""
        done: list[Encoded] = []
        if any(pts is not None for pts in self._sent):
            self._cut, self._base = True, None
            done = self._units(self._black(self._process, _MOST_LAG + 1))
        while any(pts is not None for pts in self._sent):
            done += self._units(self._process.wait())
        return done

    def close(self) -> None:
        """Ends the child."""
        self._process.close()

    def _open(self) -> EncoderProcess:
        """A child whose encoder has answered. EngineError."""
        self._splitter = AccessUnitSplitter()
        self._sent.clear()
        self._late, self._last_tick, self._base, self._cut = 1, -_STEP, None, True
        process = EncoderProcess(self._argv(), _OPEN_S)
        try:
            self._units(process.exchange([stream_head(*self._size, self._form.rate)]))
            self._units(self._black(process, _MOST_LAG + 2))
            while not self._repackager.config or len(self._sent) > _MOST_LAG + 1:
                self._units(process.wait())
        except EngineError:
            process.close()
            raise
        process.patience_s = _PATIENCE_S
        return process

    def _argv(self) -> list[str]:
        form, recipe = self._form, self._recipe
        argv = [self._program, "-hide_banner", "-loglevel", "error", "-nostdin", "-threads", "1", *recipe.device]
        argv += ["-probesize", "32", "-analyzeduration", "0", "-fpsprobesize", "0", "-f", "matroska"]
        argv += ["-i", "pipe:0", "-an", "-vf", ",".join([*recipe.filters(form), "setsar=0"])]
        argv += ["-fps_mode", "passthrough", "-copyts", "-enc_time_base", f"1/{_TICKS}"]
        argv += [*recipe.encoder(form), "-force_key_frames", _FORCE]
        return [*argv, "-bsf:v", "h264_metadata=aud=insert", "-flush_packets", "1", "-f", "h264", "pipe:1"]

    def _picture(self, frame: VideoFrame, sample_aspect: tuple[int, int]) -> VideoFrame:
        whole = frame.format.name == "yuv420p" and self._scaler.fills(frame.width, frame.height, sample_aspect)
        if self._recipe.scales and whole:
            return frame
        return self._scaler.scale(frame, sample_aspect)

    def _tick(self, pts: int) -> int:
        """The child's time of a frame: the first one comes a frame after the black pictures."""
        if self._base is None:
            self._base = pts - self._last_tick - round(_TICKS / self._form.rate)
        return max(self._last_tick + _STEP, (pts - self._base) // _STEP * _STEP)

    def _pieces(self, picture: VideoFrame | None, tick: int, demands: bool) -> list[Piece]:
        self._last_tick = tick
        planes = _planes(picture) if picture is not None else _black_planes(*self._size)
        time_us = round((tick + (_DEMANDS if demands else 0)) * 1_000_000 / _TICKS)
        return [picture_head(time_us, sum(len(piece) for piece in planes)), *planes]

    def _black(self, process: EncoderProcess, count: int) -> bytes:
        out = b""
        for _ in range(count):
            self._sent.append(None)
            tick = max(0, self._last_tick + round(_TICKS / self._form.rate) // _STEP * _STEP)
            out += process.exchange(self._pieces(None, tick, demands=False))
        return out

    def _units(self, data: bytes) -> list[Encoded]:
        done = []
        for unit in self._splitter.feed(data):
            if not self._sent:
                raise EngineError(f"{self._program} gave more access units than it got pictures")
            pts = self._sent.popleft()
            key, media = self._repackager.unit(unit)
            if pts is not None:
                done.append(Encoded(pts, key, media))
        return done


def _planes(picture: VideoFrame) -> list[Piece]:
    """The picture's bytes without the padding of its lines."""
    pieces: list[Piece] = []
    for index, plane in enumerate(picture.planes):
        per = 2 if index else 1  # pixels of the picture for one of a chroma plane
        width, height = -(-picture.width // per), -(-picture.height // per)
        view = memoryview(plane).cast("B")
        if plane.line_size == width:
            pieces.append(view[: width * height])
        else:
            pieces += [view[at : at + width] for at in range(0, plane.line_size * height, plane.line_size)]
    return pieces


def _black_planes(width: int, height: int) -> list[Piece]:
    chroma = -(-width // 2) * -(-height // 2)
    return [b"\x10" * (width * height), b"\x80" * (2 * chroma)]
