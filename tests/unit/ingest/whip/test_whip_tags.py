"""Frames to tags: stamps, configurations, layers, silence, B-frames."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge.ingest.whip.tags import DecodeClock, Tagger
from edge.protocols.codecs import av1, avc
from edge.protocols.flv import AudioTag, TagKind, VideoTag, parse_audio, parse_video
from edge.protocols.rtmp import AudioData, VideoData
from edge.protocols.webrtc.depayload import Frame
from edge.protocols.webrtc.receiver import MediaFrame
from tests.media_tools.encoded import video

RTC = {"avc1": "h264", "hvc1": "h265", "vp08": "vp8", "vp09": "vp9", "av01": "av1"}


def pieces(codec: str, data: bytes, extra: bytes) -> tuple[bytes, ...]:
    """A packet of an encoder as it comes from RTP: parameter sets in band."""
    if codec in ("avc1", "hvc1"):
        return tuple(bytes(nal) for nal in avc.split_annexb(extra + data))
    if codec == "av01":
        return tuple(bytes(unit.raw) for unit in av1.iter_obus(data) if unit.kind != av1.OBU_TEMPORAL_DELIMITER)
    return (data,)


def stream(codec: str, rid: str = "", **options: int) -> list[MediaFrame]:
    """A short stream at 30 frames per second."""
    made = video(codec, **options)
    return [
        MediaFrame(
            "video",
            RTC[codec],
            rid,
            Frame(0, pieces(codec, unit.data, made.extra if unit.key else b""), unit.key, False, 0.0),
            100 + unit.pts / 30,
        )
        for unit in made.units
    ]


def sound(timestamp: int, payload: bytes = b"\xfcx", time_s: float | None = None) -> MediaFrame:
    """20 ms of stereo."""
    at = 100 + timestamp / 48_000 if time_s is None else time_s
    return MediaFrame("audio", "opus", "", Frame(timestamp, (payload,), True, False, 0.0), at)


def parsed(events: list[VideoData | AudioData]) -> list[tuple[int, VideoTag | AudioTag]]:
    """Stamps and tags."""
    return [
        (event.timestamp, tag)
        for event in events
        for tag in (parse_video(event.body) if isinstance(event, VideoData) else parse_audio(event.body))
    ]


def test_every_codec_begins_with_its_configuration() -> None:
    for codec in RTC:
        tagger = Tagger()
        events = [event for frame in stream(codec) for event in tagger.take(frame)]
        tags = [tag for _, tag in parsed(events)]
        assert [tag.kind for tag in tags[:2]] == [TagKind.CONFIG, TagKind.FRAME], codec
        assert {tag.codec for tag in tags} == {codec}
        assert sum(tag.kind is TagKind.CONFIG for tag in tags) == 1
        assert len(tags) == 11
        assert tags[1].key  # type: ignore[union-attr]
        assert not tagger.damaged


def test_stamps_are_exact_to_the_nanosecond() -> None:
    tagger = Tagger()
    times = [
        (stamp, tag.nano)
        for frame in stream("vp08")
        for stamp, tag in parsed(tagger.take(frame))
        if tag.kind is TagKind.FRAME
    ]
    for number, (stamp, nano) in enumerate(times):
        assert abs(stamp * 1_000_000 + nano - 1e9 - number * 1e9 / 30) < 1000


def test_a_new_size_is_a_new_configuration() -> None:
    tagger = Tagger()
    frames = stream("vp09") + stream("vp09", width=256, height=192)
    kinds = [tag.kind for frame in frames for _, tag in parsed(tagger.take(frame))]
    assert kinds.count(TagKind.CONFIG) == 2
    assert kinds[11] is TagKind.CONFIG


def test_the_highest_layer_is_the_source() -> None:
    tagger = Tagger(["l", "m", "h"])
    sizes = {"l": (64, 48), "m": (128, 96), "h": (256, 192)}
    layers = [stream("avc1", rid, width=width, height=height) for rid, (width, height) in sizes.items()]
    events = tagger.take(sound(0))
    assert events == []
    for frames in zip(*layers, strict=True):
        for frame in frames:
            events += tagger.take(frame)
    tags = [tag for _, tag in parsed(events) if isinstance(tag, VideoTag)]
    assert [(tag.kind, tag.track) for tag in tags[:3]] == [(TagKind.CONFIG, track) for track in range(3)]
    widths = [avc.parse_config(bytes(tag.data)).picture().width for tag in tags[:3]]
    assert widths == [256, 128, 64]
    assert len(tags) == 33


def test_a_layer_that_does_not_come_is_not_waited_for() -> None:
    tagger = Tagger(["h", "l"])
    low, high = stream("avc1", "l", frames=70), stream("avc1", "h", width=256, height=192)
    events = [event for frame in low for event in tagger.take(frame)]
    assert {tag.track for _, tag in parsed(events)} == {0}
    late = [event for frame in high for event in tagger.take(frame._replace(time_s=frame.time_s + 5))]
    assert {tag.track for _, tag in parsed(late)} == {1}


def test_holes_in_the_sound_become_silence() -> None:
    tagger = Tagger()
    events = [event for timestamp in (0, 960, 4800) for event in tagger.take(sound(timestamp))]
    tags = [(stamp, bytes(tag.data)) for stamp, tag in parsed(events) if tag.kind is TagKind.FRAME]
    silence = b"\xfc\xff\xfe"
    assert tags == [
        (1000, b"\xfcx"), (1020, b"\xfcx"), (1040, silence), (1060, silence), (1080, silence), (1100, b"\xfcx"),
    ]  # fmt: skip


def test_a_long_hole_stays_one() -> None:
    tagger = Tagger()
    events = [event for timestamp in (0, 480_000) for event in tagger.take(sound(timestamp))]
    assert len(events) == 3
    assert len(tagger.take(sound(-48_000 % (1 << 32), time_s=120.0))) == 1


def test_damage_is_counted() -> None:
    tagger = Tagger()
    frame = MediaFrame("video", "h264", "", Frame(0, (b"\x67\x42", b"\x68", b"\x65"), True, False, 0.0), 1.0)
    tagger.take(frame)
    tagger.take(
        frame._replace(codec="h264", frame=frame.frame._replace(pieces=(b"\x67\x42\0\0\0", b"\x68", b"\x65")))
    )
    assert tagger.damaged


def test_b_frames_get_decode_times() -> None:
    clock = DecodeClock()
    shown = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    decode = [clock.place(number * 40_000_000) for number in shown]
    assert all(one < other for one, other in itertools.pairwise(decode))
    late = [decoded - number * 40_000_000 for decoded, number in zip(decode, shown, strict=True)]
    assert all(one <= 0 for one in late[4:])


@given(st.lists(st.integers(0, 10_000_000_000), max_size=100))
def test_decode_times_grow(shown: list[int]) -> None:
    clock = DecodeClock()
    decode = [clock.place(one) for one in shown]
    assert all(one < other for one, other in itertools.pairwise(decode))
    assert len(clock._shown) <= 5


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(RTC.values())), st.lists(st.binary(min_size=1, max_size=30), min_size=1))
    )
)
def test_any_frames(frames: list[tuple[str, list[bytes]]]) -> None:
    taggers = {codec: Tagger() for codec in RTC.values()}
    for codec, found in frames:
        whole = tuple(found) if codec in ("h264", "h265", "av1") else (b"".join(found),)
        taggers[codec].take(MediaFrame("video", codec, "", Frame(0, whole, True, False, 0.0), 1.0))
        taggers[codec].take(MediaFrame("audio", "opus", "", Frame(0, whole[:1], True, False, 0.0), 1.0))
