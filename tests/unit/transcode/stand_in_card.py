"""A graphics card for machines without one: plain decoders whose pictures are scaled at once, x264 as the encoder.

NV21 stands for the format of pictures that are on the card: nothing else here makes or takes it.
"""

import threading
from collections.abc import Callable, Sequence

import av
import av.error
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from edge.media.ladder import Rung
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.control import RungControl
from edge.transcode.decoders.base import Card, VideoPacket
from edge.transcode.decoders.software import software_context
from edge.transcode.engines.base import Engine, RungFormat
from edge.transcode.engines.hardware import HardwareEncoder, HardwareEngine
from edge.transcode.engines.lineup import Candidate
from edge.transcode.forms import VideoForm
from edge.transcode.pipeline import Pipeline
from edge.transcode.resume import RungPosition
from edge.transcode.rung import RungWorker
from tests.unit.transcode.encoded_sources import FRAME, level_of
from tests.unit.transcode.lineups import lineup_of
from tests.unit.transcode.test_transcode_sources import CONFIG, NOTHING, levels, samples_of

ENCODER = HardwareEncoder(
    "libx264",
    {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "high",
        "forced-idr": "1",
        "x264-params": "scenecut=0:vbv-init=0.5",
    },
    card="nv21",
)
LARGE, SMALL = Rung("90p", 160, 90, 200_000, (30, 1)), Rung("44p", 80, 44, 100_000, (30, 1))


class StandInSession:
    """One rung's decoder."""

    def __init__(self, form: VideoForm, size: tuple[int, int], on_card: bool) -> None:
        self.size, self.on_card = size, on_card
        self.fed = 0
        self._context = software_context(form)

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        self.fed += packet is not None
        return [self._scaled(frame) for frame in self._context.decode(packet)]

    def _scaled(self, frame: VideoFrame) -> VideoFrame:
        """In the card's format; what it has none for comes in its own."""
        usual = "nv21" if self.on_card else "nv12"
        return VideoReformatter().reformat(
            frame, *self.size, usual if frame.format.name == "yuv420p" else frame.format.name, threads=1
        )


class StandInCard:
    """Notes its sessions."""

    def __init__(self, session: type[StandInSession] = StandInSession) -> None:
        self.sessions: list[StandInSession] = []
        self._session = session

    def card(self) -> Card:
        return Card("stand-in", ("h264", "hevc"), "nv21", "nv12", self._open)

    def _open(self, form: VideoForm, size: tuple[int, int], on_card: bool) -> StandInSession:
        self.sessions.append(self._session(form, size, on_card))
        return self.sessions[-1]

    def opened(self) -> list[tuple[int, bool]]:
        """Height of each session's pictures, and whether they are on the card."""
        return [(session.size[1], session.on_card) for session in self.sessions]


class Looking(HardwareEngine):
    """Notes what pictures it is given."""

    def __init__(self, form: RungFormat, seen: list[tuple[str, int]]) -> None:
        super().__init__(ENCODER, form)
        self._seen = seen

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> "list[object]":  # type: ignore[override]
        self._seen.append((frame.format.name, frame.height))
        return super().encode(frame, key, sample_aspect)  # type: ignore[return-value]


class Ladder:
    """The threads of one broadcast with a card."""

    def __init__(self, card: Card | None, rungs: Sequence[Rung] = (LARGE, SMALL)) -> None:
        self.card = card
        self.control = RungControl()
        self.outputs: dict[str, list[Output]] = {rung.name: [] for rung in rungs}
        self.seen: dict[str, list[tuple[str, int]]] = {rung.name: [] for rung in rungs}
        self.offered: list[tuple[tuple[int, int], tuple[int, int]]] = []
        self.engines: dict[str, list[Candidate]] = {}
        self.configs: dict[str, bytes] = {}
        self._rungs = rungs
        self._failures: list[BaseException] = []

    def run(
        self,
        chunks: Sequence[SourceChunk],
        positions: dict[str, RungPosition] | None = None,
        before: Callable[[SourceChunk], None] = lambda _: None,
    ) -> "Ladder":
        """Everything through the pipeline, one chunk after the other; `before` is called ahead of each."""
        workers = [self._worker(rung, (positions or {}).get(rung.name, NOTHING)) for rung in self._rungs]
        self.configs = {worker.rung.name: worker.config for worker in workers}
        taken = threading.Semaphore(0)
        pipeline = Pipeline(
            workers, taken.release, self._failures.append, self.control, offer=self._offer, card=self.card
        )
        pipeline.start()
        for chunk in chunks:
            before(chunk)
            pipeline.put(chunk)
            assert taken.acquire(timeout=20), self._failures
        pipeline.drain()
        pipeline.stop()
        assert not self._failures, self._failures
        return self

    def _worker(self, rung: Rung, position: RungPosition) -> RungWorker:
        def make(form: RungFormat) -> Engine:
            return Looking(form, self.seen[rung.name])  # type: ignore[return-value]

        engines = self.engines.get(rung.name, [Candidate("looking", make)])
        outputs = self.outputs[rung.name]
        return RungWorker(rung, lineup_of(rung, engines), CONFIG, position, outputs.append, self._failures.append)

    def _offer(self, frame: VideoFrame, sample_aspect: tuple[int, int], _: int) -> None:
        self.offered.append(((frame.width, frame.height), sample_aspect))

    def numbers(self, rung: Rung = LARGE) -> list[int]:
        """The frames of a rung."""
        return [sample.dts // FRAME for sample in samples_of(self.outputs[rung.name])]

    def assert_whole(self, count: int, keys: Sequence[int], rungs: Sequence[Rung] = (LARGE, SMALL)) -> None:
        """Every frame is there once and shows what it should, with an IDR at `keys` and perhaps elsewhere."""
        for rung in rungs:
            samples = samples_of(self.outputs[rung.name])
            assert [sample.dts // FRAME for sample in samples] == list(range(count))
            assert set(keys) <= {sample.dts // FRAME for sample in samples if sample.key}
            shown = levels(samples, self.configs[rung.name])
            assert max(abs(shown[index] - level_of(index)) for index in range(count)) <= 6
        assert self.control.damaged == 0


def failing(error: type[av.error.FFmpegError]) -> av.error.FFmpegError:
    """An error as a driver's."""
    return error(1, "the driver says no")
