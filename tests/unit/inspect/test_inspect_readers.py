"""The lenient readers: whatever comes, problems with their lines and no errors."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from inspect_origin import Fault, Origin

from edge.inspect import mp4
from edge.inspect.inspection import Inspection
from edge.inspect.multivariant import read_multivariant
from edge.inspect.observations import Exchange
from edge.inspect.playlist import read_media
from edge.protocols.fmp4 import Sample, VideoTrack, fragment, init_segment
from edge.protocols.fmp4.reader import FragmentError

LINES = [
    "#EXTM3U",
    "#EXT-X-VERSION:6",
    "#EXT-X-TARGETDURATION:2",
    "#EXT-X-MEDIA-SEQUENCE:4",
    "#EXT-X-DISCONTINUITY-SEQUENCE:x",
    "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,CAN-SKIP-UNTIL=12.0",
    "#EXT-X-PART-INF:PART-TARGET=0.5",
    "#EXT-X-SKIP:SKIPPED-SEGMENTS=3",
    '#EXT-X-MAP:URI="i.mp4",BYTERANGE="9@x"',
    "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z",
    "#EXT-X-PROGRAM-DATE-TIME:yesterday",
    "#EXT-X-DISCONTINUITY",
    "#EXT-X-GAP",
    "#EXT-X-BYTERANGE:9",
    '#EXT-X-PART:DURATION=0.5,URI="p.m4s",INDEPENDENT=YES',
    "#EXT-X-PART:DURATION=nine",
    "#EXTINF:2.0,",
    "#EXTINF:",
    "s.m4s",
    "http://[/",
    '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p.m4s"',
    '#EXT-X-RENDITION-REPORT:URI="http://[",LAST-MSN=-1',
    '#EXT-X-DATERANGE:ID="a",START-DATE="2023",CLASS="com.apple.hls.interstitial",X-RESTRICT="NO"',
    "#EXT-X-START:",
    "#EXT-X-ENDLIST",
    "#EXT-X-STREAM-INF:BANDWIDTH=1,FRAME-RATE=x,RESOLUTION=0x0",
    "#EXT-X-MEDIA:TYPE=AUDIO",
    "#EXT-X-I-FRAME-STREAM-INF:",
    '#EXT-X-CONTENT-STEERING:SERVER-URI="x"',
]


@given(st.lists(st.sampled_from(LINES), max_size=30))
def test_any_playlist_can_be_judged(lines: list[str]) -> None:
    body = "\n".join(lines).encode()
    inspection = Inspection(0.0)
    inspection.multivariant(Exchange("http://a/m.m3u8", status=200, body=body))
    state = inspection.rendition("http://a/p.m3u8", "variant")
    other = inspection.rendition("http://a/o.m3u8", "audio")
    for at in (1.0, 2.0):
        exchange = Exchange("http://a/p.m3u8?_HLS_msn=1", status=200, body=body, began=at - 1, ended=at)
        inspection.playlist(state, exchange)
        inspection.playlist(other, exchange)
    inspection.update(read_media(body), Exchange("http://a/p.m3u8", status=200, body=body[: len(body) // 2]))
    inspection.finish(3.0)


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(data: bytes) -> None:
    read_media(data)
    read_multivariant(data)
    with contextlib.suppress(FragmentError):
        mp4.read_tracks(data)
    with contextlib.suppress(FragmentError):
        mp4.read_media(data, {1: mp4.TrackInit(1, "vide", "avc1", 90_000)})


@given(st.data())
def test_damaged_media(data: st.DataObject) -> None:
    init = init_segment(VideoTrack(config=b"\1\x64\0\x1f\xff\xe0\0", width=64, height=64))
    whole = init + fragment(1, 1, 0, [Sample(0, 3000, 0, True, b"\0\0\0\1\x65"), Sample(3000, 3000, 0, False, b"")])
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FragmentError):
        tracks = {track.track_id: track for track in mp4.read_tracks(bytes(damaged))}
        mp4.read_media(bytes(damaged), tracks)


def test_problems_have_their_lines() -> None:
    text = read_media(
        b'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\ns.m4s\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PART:A="b",A\n'
    )
    lines = sorted({problem.line for problem in text.problems})
    assert 5 in lines
    assert 6 in lines


def test_what_we_write_is_read_track_by_track() -> None:
    origin = Origin(Fault(""), 0.0)
    tracks = {track.track_id: track for track in mp4.read_tracks(origin.init("high", 0))}
    assert (tracks[1].kind, tracks[1].codec, tracks[1].width) == ("vide", "avc1.64001f", 1280)
    read = mp4.read_media(origin.segment("high", 3), tracks)
    assert [sample[0] for sample in read.tracks[1].samples] == [540_000 + 3000 * at for at in range(60)]
    assert not read.odd
