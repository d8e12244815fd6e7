"""Sound that players cannot play becomes AAC: the same moments, the same segments, whoever makes it."""

import array
import threading
from collections.abc import Sequence
from itertools import pairwise

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contracts.media import AudioFormat, ChunkFlag, Init
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import AudioTrack, Sample, init_segment, read_fragments
from edge.transcode.audio_pipeline import AudioPipeline
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.forms import audio_form
from edge.transcode.grid import Grid
from edge.transcode.resume import RungPosition
from edge.transcode.sound import FRAME, RATE, SAMPLE_BYTES, AacEncoder, Pcm
from tests.unit.transcode.encoded_sources import PDT, Sound, chunks_of, gap_chunk, sound_source

CONFIG = SegmenterConfig(
    timescale=RATE, part_target=16_800, segment_target=RATE, max_segment=1 << 62, given_boundaries=True
)
NOTHING = RungPosition(None, 0, 0)
CLICKS = (0.3, 0.75, 1.1)


def transcode(
    chunks: Sequence[SourceChunk], timescale: int, position: RungPosition = NOTHING
) -> tuple[list[Output], bytes]:
    outputs: list[Output] = []
    failures: list[BaseException] = []
    taken = threading.Semaphore(0)
    pipeline = AudioPipeline(CONFIG, timescale, 2, position, outputs.append, taken.release, failures.append)
    pipeline.start()
    for chunk in chunks:
        if chunk.sequence >= position.source_sequence:
            pipeline.put(chunk)
    pipeline.drain()
    pipeline.stop()
    assert not failures, failures
    return outputs, pipeline.config


def samples_of(outputs: list[Output]) -> list[Sample]:
    return [s for output in outputs if output.data for piece in read_fragments(output.data) for s in piece.samples]


def clicks_in(samples: list[Sample], config: bytes) -> list[float]:
    """Seconds at which something loud begins."""
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = config
    heard: list[float] = []
    for sample in samples:
        packet = av.Packet(bytes(sample.data))
        packet.pts = packet.dts = sample.dts
        for frame in decoder.decode(packet):
            values = array.array("f", bytes(frame.planes[0])[: frame.samples * SAMPLE_BYTES])
            for index, value in enumerate(values):
                at = (sample.dts + index) / RATE
                if abs(value) > 0.3 and (not heard or at - heard[-1] > 0.05):
                    heard.append(at)
    return heard


def cut(sound: Sound, seconds: Sequence[float]) -> list[SourceChunk]:
    """Chunks of about 0.1 s; segments begin at the first sample behind each of `seconds`."""
    timescale = sound.form.timescale
    starts = [next(i for i, s in enumerate(sound.samples) if s.dts >= at * timescale) for at in seconds]
    per_chunk = max(1, timescale // 10 // sound.samples[0].duration)
    return chunks_of(sound.samples, sound.form, segments=starts, timescale=timescale, per_chunk=per_chunk)


@pytest.mark.parametrize(
    ("codec", "rate", "channels"),
    [("libopus", 48_000, 2), ("libopus", 48_000, 1), ("flac", 44_100, 2), ("ac3", 48_000, 6), ("aac", 44_100, 2)],
)
def test_every_codec_becomes_aac_at_the_same_moments(codec: str, rate: int, channels: int) -> None:
    sound = sound_source(codec, 1.4, rate, CLICKS, channels)
    outputs, config = transcode(cut(sound, [0.0, 0.6]), rate)
    samples = samples_of(outputs)
    first = sound.samples[0].dts * RATE // rate
    assert samples[0].dts == first // FRAME * FRAME
    assert [s.dts for s in samples] == [samples[0].dts + index * FRAME for index in range(len(samples))]
    end = sound.samples[-1].end * RATE // rate
    assert 0 <= samples[-1].end - end <= FRAME, "the last frame is filled up with silence"
    heard = clicks_in(samples, config)
    assert len(heard) == len(CLICKS)
    assert max(abs(at - click) for at, click in zip(heard, CLICKS, strict=True)) < 0.001


def test_segments_are_the_sources() -> None:
    sound = sound_source("libopus", 1.4, 48_000, ())
    chunks = cut(sound, [0.0, 0.5, 1.0])
    outputs, _ = transcode(chunks, 48_000)
    starts = {o.header.msn: o.header for o in reversed(outputs)}
    sources = {c.header.msn: c.header for c in reversed(chunks)}
    assert starts.keys() == sources.keys() == {0, 1, 2}
    for msn in (1, 2):
        assert 0 <= starts[msn].dts - sources[msn].dts < FRAME
        moved = (starts[msn].dts - sources[msn].dts) * 1_000_000 // RATE
        assert abs(starts[msn].pdt_us - sources[msn].pdt_us - moved) <= 1
    assert [o.header.msn for o in outputs if o.header.flags & ChunkFlag.LAST_OF_SEGMENT] == [0, 1, 2]
    assert max(o.header.duration for o in outputs) <= CONFIG.part_target
    assert [o.header.serial for o in outputs if o.data] == list(range(sum(1 for o in outputs if o.data)))


@pytest.mark.parametrize("published", range(1, 7))
def test_a_successor_loses_and_doubles_no_frame(published: int) -> None:
    sound = sound_source("libopus", 1.6, 48_000, CLICKS)
    chunks = cut(sound, [0.0, 0.4, 0.8, 1.2])
    whole, config = transcode(chunks, 48_000)
    last = whole[published - 1]
    after, successor_config = transcode(chunks, 48_000, RungPosition(last.header, published, last.source_sequence))
    assert successor_config == config
    both = whole[:published] + after
    places = [(o.header.msn, o.header.part, o.header.chunk, o.header.serial, o.header.dts) for o in both]
    assert places == [(o.header.msn, o.header.part, o.header.chunk, o.header.serial, o.header.dts) for o in whole]
    assert [s.dts for s in samples_of(both)] == [s.dts for s in samples_of(whole)]
    heard = clicks_in(samples_of(both), config)
    assert max(abs(at - click) for at, click in zip(heard, CLICKS, strict=True)) < 0.001


def test_a_gap_stays_a_gap() -> None:
    sound = sound_source("flac", 1.4, 44_100, CLICKS)
    chunks = cut(sound, [0.0, 0.4, 0.9])
    hole = [one for one in chunks if one.header.msn == 1]
    begin, end = hole[0].header.dts, hole[-1].header.dts + hole[-1].header.duration
    gap = gap_chunk(1, begin, end - begin, hole[0].sequence)
    with_gap = [one for one in chunks if one.header.msn == 0] + [gap] + [c for c in chunks if c.header.msn == 2]
    outputs, config = transcode(with_gap, 44_100)
    gaps = [o.header for o in outputs if o.header.flags & ChunkFlag.GAP]
    assert [h.msn for h in gaps] == [1]
    assert abs(gaps[0].dts - begin * RATE // 44_100) <= FRAME
    assert abs(gaps[0].dts + gaps[0].duration - end * RATE // 44_100) <= 1
    times = [s.dts for s in samples_of(outputs)]
    assert times == sorted(set(times))
    heard = clicks_in(samples_of(outputs), config)
    assert [round(at, 2) for at in heard] == [0.3, 1.1]


def test_a_hole_within_a_segment_stays_a_hole() -> None:
    sound = sound_source("libopus", 1.4, 48_000, CLICKS)
    short = Sound([s for s in sound.samples if not 0.5 < s.dts / 48_000 < 0.9], sound.form)
    outputs, config = transcode(cut(short, [0.0, 1.2]), 48_000)
    times = [s.dts for s in samples_of(outputs)]
    steps = {after - before for before, after in pairwise(times)}
    assert all(time % FRAME == 0 for time in times)
    assert len(steps) == 2, "one hole, whole frames"
    assert [round(at, 2) for at in clicks_in(samples_of(outputs), config)] == [0.3, 1.1]


def test_damaged_frames_do_not_stop_the_rest() -> None:
    sound = sound_source("libopus", 1.0, 48_000, (0.7,))
    damaged = [s.replace(data=b"\xff") if 10 <= i < 12 else s for i, s in enumerate(sound.samples)]
    outputs, config = transcode(cut(Sound(damaged, sound.form), [0.0]), 48_000)
    assert [round(at, 2) for at in clicks_in(samples_of(outputs), config)] == [0.7]


def test_times_in_another_scale_than_the_sound() -> None:
    """A resumed rendition keeps its timescale when the publisher's rate changes."""
    sound = sound_source("libopus", 1.0, 48_000, (0.5,))
    scaled = []
    for sample in sound.samples:
        dts, end = sample.dts * 44_100 // 48_000, sample.end * 44_100 // 48_000
        scaled.append(sample.replace(dts=dts, duration=end - dts))
    form = sound.form._replace(timescale=44_100)
    outputs, config = transcode(cut(Sound(scaled, form), [0.0]), 44_100)
    times = [s.dts for s in samples_of(outputs)]
    assert times == [times[0] + index * FRAME for index in range(len(times))]
    assert abs(clicks_in(samples_of(outputs), config)[0] - 0.5) < 0.001


def test_the_wall_clock_follows_the_source() -> None:
    sound = sound_source("libopus", 0.5, 48_000, ())
    outputs, _ = transcode(cut(sound, [0.0]), 48_000)
    for output in outputs:
        assert abs(output.header.pdt_us - PDT - output.header.dts * 1_000_000 // RATE) <= 2


def test_an_own_initialisation_segment() -> None:
    config = AacEncoder(2).config
    data = init_segment(AudioTrack(config=config, timescale=48_000, channels=2))
    described = AudioFormat(codec="mp4a.40.2", sample_rate=48_000, channels=2)
    form = audio_form(Init(init=0, data=data, audio=described))
    assert (form.decoder, form.extradata) == ("aac", config)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-500, 6000), st.integers(1, 3000)), max_size=20))
def test_the_grid_gives_each_frame_once_and_keeps_every_place(runs: list[tuple[int, int]]) -> None:
    grid, at = Grid(1), 5000
    placed: dict[int, float] = {}
    frames = []
    for skip, count in runs:
        at = max(0, at + skip)
        for index in range(at, at + count):
            placed.setdefault(index, float(index + 1))
        values = array.array("f", range(at + 1, at + count + 1))
        frames += grid.push(Pcm(at, [values.tobytes()]))
        at += count
    frames += grid.finish()
    positions = [frame.position for frame in frames]
    assert positions == sorted(set(positions))
    assert all(position % FRAME == 0 for position in positions)
    given_out = {}
    for frame in frames:
        for index, value in enumerate(array.array("f", frame.planes[0])):
            if value:
                given_out[frame.position + index] = value
    assert all(placed[index] == value for index, value in given_out.items())
    highest = 0
    begin = 5000
    for skip, count in runs:
        begin = max(0, begin + skip)
        assert all(index in given_out for index in range(max(begin, highest), begin + count))
        begin += count
        highest = max(highest, -(-begin // FRAME) * FRAME)
