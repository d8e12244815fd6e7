"""BANDWIDTH: what players are told at first holds for what comes later, and is not taken back."""

from collections import defaultdict
from collections.abc import Iterable

import pytest
from flv_source import Body, audio_config, media, picture, sound, video_config
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contracts.media import AUDIO, SOURCE, ChunkFlag
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append, RenditionOutput, ResumePoint
from edge.media.segmenter import Chunk, Segmenter
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample

T0 = 1_700_000_000_000_000
ALLOWED = 1.25  # a segment's rate against BANDWIDTH, as players have it
USUAL = 640 * 360 * 5 // 2 + 250_000  # of the pictures of `video_config`, where nothing is declared


def pictures(*scenes: tuple[float, int], key_weight: float = 4.0) -> list[Body]:
    """Scenes of (seconds, bit/s), 30 frames/s, key frames each 2 s and so much larger than the others."""
    out: list[Body] = []
    for seconds, bit_rate in scenes:
        for _ in range(round(seconds * 30)):
            index = len(out)
            usual = bit_rate / 8 * 2 / (59 + key_weight)
            body = picture(index, key=index % 60 == 0, stamp=index * 1000 // 30)
            size = usual * key_weight if index % 60 == 0 else usual
            nal = body.body[9:14] + bytes(max(1, int(size)))
            out.append(body._replace(body=body.body[:5] + len(nal).to_bytes(4, "big") + nal))
    return out


class Watch:
    """A broadcast, and all that players were told of a rendition."""

    def __init__(self, declared_kbit: float = 0, **others: object) -> None:
        self.packager = Packager(PackagerConfig(), **others)  # type: ignore[arg-type]
        self.out: list[Append] = []
        self.told: dict[str, list[int]] = defaultdict(list)
        self._declared_kbit = declared_kbit

    def take(self, bodies: Iterable[Body], sound_kbit: float = 0) -> None:
        declared = {"videodatarate": float(self._declared_kbit), "audiodatarate": float(sound_kbit)}
        self.packager.metadata({name: kbit for name, kbit in declared.items() if kbit})
        for body in bodies:
            take = self.packager.video if body.is_video else self.packager.audio
            self._keep(take(body.stamp, body.body, now_us=T0 + body.stamp * 1000))
        self._keep(self.packager.finish(now_us=T0 + 60_000_000))

    def _keep(self, appends: list[Append]) -> None:
        self.out += appends
        for name, output in self.packager.renditions.items():
            if output.inits and self.told[name][-1:] != [output.bandwidth]:
                self.told[name].append(output.bandwidth)

    def peak(self, name: str = SOURCE) -> float:
        """Bit/s of the largest segment."""
        bits: dict[int, int] = defaultdict(int)
        ticks: dict[int, int] = defaultdict(int)
        for append in self.out:
            if append.rendition == name:
                bits[append.header.msn] += 8 * len(append.data)
                ticks[append.header.msn] += append.header.duration
        timescale = self.packager.renditions[name].timescale
        return max(bits[msn] * timescale / ticks[msn] for msn in bits if ticks[msn] >= timescale)


@pytest.mark.parametrize(
    ("declared_kbit", "scenes"),
    [
        pytest.param(6000, [(12, 6_000_000)], id="constant"),
        pytest.param(2500, [(12, 40_000), (6, 2_500_000)], id="slides, then action"),
        pytest.param(
            2500, [(4, 60_000), (2, 3_400_000), (4, 60_000), (2, 3_600_000)], id="bursts of a shared screen"
        ),
        pytest.param(0, [(8, 40_000), (6, 1_000_000)], id="slides of an encoder that says nothing"),
    ],
)
def test_what_is_told_at_first_holds(declared_kbit: int, scenes: list[tuple[float, int]]) -> None:
    watch = Watch(declared_kbit)
    watch.take([video_config(), *pictures(*scenes)])
    told = watch.told[SOURCE]
    assert told[0] == (declared_kbit * 1250 or USUAL)
    assert told == sorted(told)
    assert watch.peak() <= ALLOWED * told[0]


@pytest.mark.parametrize("bit_rate", [2_000_000, 4_000_000])
@pytest.mark.parametrize("key_weight", [2.0, 12.0])
def test_the_first_part_tells_what_an_encoder_sends_that_says_nothing(bit_rate: int, key_weight: float) -> None:
    """Viewers who come at once choose by it."""
    frames = pictures((6, bit_rate), key_weight=key_weight)
    head = [video_config(), audio_config(), frames[0], sound(0, stamp=0)]
    whole = Watch()
    whole.take([*head, *frames[1:]])
    first = Watch()
    first.take([*head, *frames[1:14]])
    assert whole.peak() <= first.told[SOURCE][-1] <= 1.5 * whole.peak()
    assert whole.told[SOURCE] == first.told[SOURCE]


def test_what_is_beyond_it_is_told_in_steps() -> None:
    watch = Watch(500)
    watch.take([video_config(), *pictures((4, 500_000), (4, 2_000_000), (4, 2_100_000), (4, 3_000_000))])
    told = watch.told[SOURCE]
    assert told[0] == 625_000
    assert len(told) == 3, "not for little more"
    assert watch.peak() <= told[-1] / 1.2


def test_a_declared_rate_that_no_picture_needs_is_none() -> None:
    watch = Watch(900_000)
    watch.take([video_config(), *pictures((6, 1_000_000))])
    assert watch.told[SOURCE] == [16 * USUAL]


def test_pictures_left_out_do_not_lower_it() -> None:
    watch = Watch(1500)
    frames = pictures((12, 1_500_000))
    watch.take([video_config(), *frames[:130], *frames[200:]])
    assert watch.told[SOURCE] == [1_875_000]
    assert watch.peak() <= ALLOWED * 1_875_000


def test_pictures_that_come_too_late_are_within_it() -> None:
    """They are all in the segment that goes on behind the gap."""
    frames, sounds = pictures((30, 1_900_000)), media(30, video=False)
    held = [body for body in frames if 12_200 <= body.stamp < 14_900]
    rest = [body for body in (*frames, *sounds) if body not in held]
    watch = Watch(2000)
    ordered: list[Body] = []
    for body in sorted(rest, key=lambda one: one.stamp):
        if held and body.stamp >= 14_900:
            ordered += held
            held = []
        ordered.append(body)
    watch.take([video_config(), audio_config(), *ordered], sound_kbit=128)
    assert watch.told[SOURCE] == [2_500_000]
    assert watch.peak() <= ALLOWED * 2_500_000


def test_sound_alone() -> None:
    watch = Watch()
    quiet = [sound(i, stamp=i * 1024 // 48) for i in range(400)]
    loud = [
        Body(False, i * 1024 // 48, b"\xaf\1" + i.to_bytes(4, "big") + bytes(330)) for i in range(400, 800)
    ]  # 126 kbit/s
    watch.take([audio_config(), *quiet, *loud])
    assert watch.told[AUDIO] == [160_000]
    assert watch.peak(AUDIO) <= ALLOWED * 160_000
    watch = Watch()
    watch.take([audio_config(), *quiet], sound_kbit=320)
    assert watch.told[AUDIO] == [400_000]


def test_it_is_kept_when_the_encoder_comes_back() -> None:
    watch = Watch()
    watch.take([video_config(), *pictures((8, 5_000_000))])
    told = watch.told[SOURCE][-1]
    last = [append for append in watch.out if append.rendition == SOURCE][-1].header
    again = Watch(epoch=2, resume={SOURCE: ResumePoint(last, 1, 90_000, told)}, target_duration_s=4)
    again.take([video_config(), *pictures((8, 40_000))])
    assert again.told[SOURCE] == [told]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 300_000), st.integers(1, 400)), min_size=1, max_size=12))
def test_whatever_comes_is_told_for_the_next_time(segments: list[tuple[int, int]]) -> None:
    """(bytes, hundredths of a second) of each segment: short ones count together with the next."""
    output = RenditionOutput("source", 90_000, 1)
    config = SegmenterConfig(
        timescale=90_000, part_target=1 << 30, segment_target=1 << 30, max_segment=1 << 30, given_boundaries=True
    )
    segmenter = Segmenter(config, msn=0, serial=0)
    dts, told, bits, ticks = 0, 0, 0, 0
    for msn, (size, hundredths) in enumerate(segments):
        sample = Sample(dts, hundredths * 900, 0, True, bytes(size))
        chunks: list[Chunk] = segmenter.push(sample, pdt_us=0, msn=msn) + segmenter.finish()
        assert chunks[-1].flags & ChunkFlag.LAST_OF_SEGMENT
        for chunk in chunks:
            bits += 8 * len(output.append(chunk, late_us=0).data)
        dts, ticks = sample.end, ticks + sample.duration
        assert output.bandwidth >= told
        told = output.bandwidth
        if ticks >= 90_000:
            assert bits * 90_000 / ticks <= told
            bits = ticks = 0
