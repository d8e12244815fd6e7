"""Faults of multivariant playlists, of HTTP, and of what is in the media."""

import dataclasses
import re

from inspect_edits import LATER_S, answered, by_name, control, headers, master, number, replaced, segments, value
from inspect_faults_playlists import CLASSIC, DIRECT
from inspect_origin import VIDEO_SCALE, Fault, Options, Origin, avc_config

from edge.inspect.http_client import Ask
from edge.inspect.observations import Exchange
from edge.protocols.codecs.aac import build_config
from edge.protocols.fmp4 import AudioTrack, Sample, VideoTrack, fragment, init_segment
from edge.protocols.fmp4.boxes import box
from edge.protocols.fmp4.reader import boxes
from edge.protocols.hls.media import Segment

IFRAMES = Options(iframes=True)
STEERING = Options(steering=True)


def _moov(data: bytes, wanted: bytes) -> bytes:
    """A box of an initialisation segment's moov, header included."""
    view = memoryview(data)
    for kind, start, body, end in boxes(view, 0, len(view)):
        if kind == b"moov":
            return _moov(data[body:end], wanted)
        if kind == wanted:
            return data[start:end]
    raise AssertionError(f"no {wanted!r}")


def _muxed_init(origin: Origin, name: str, number: int, data: bytes) -> bytes:
    """Video and audio in one."""
    if name == "audio":
        return data
    sound = init_segment(AudioTrack(config=build_config(48_000, 2), timescale=48_000, channels=2, track_id=2))
    trex = [_moov(one, b"mvex")[8:] for one in (data, sound)]
    tracks = [_moov(one, b"trak") for one in (data, sound)]
    return data[: data.index(b"moov") - 4] + box(b"moov", _moov(data, b"mvhd"), *tracks, box(b"mvex", *trex))


def _muxed_part(name: str, msn: int, index: int, data: bytes) -> bytes:
    if name == "audio":
        return data
    first = (4 * msn + index) * 25
    sound = [Sample((first + at) * 960, 960, 0, True, b"a" * 80) for at in range(25)]
    return data + fragment(2, msn, sound[0].dts, sound)


def _other_size(origin: Origin, name: str, number: int, data: bytes) -> bytes:
    return init_segment(VideoTrack(config=avc_config(), width=640, height=480)) if name == "low" else data


def _hdr(origin: Origin, name: str, number: int, data: bytes) -> bytes:
    if name != "high":
        return data
    return init_segment(VideoTrack(config=avc_config(), width=1280, height=720, colour=(9, 16, 9, False)))


def _avc3(origin: Origin, name: str, number: int, data: bytes) -> bytes:
    return data.replace(b"avc1", b"avc3") if name == "high" else data


_MULTIVARIANT = by_name(
    Fault("MV-SYNTAX", master=lambda text: text + "stray.m3u8\n"),
    Fault("MV-BANDWIDTH", master=master(":BANDWIDTH=2000000,", ":")),
    Fault(
        "MV-PEAK",
        master=master("BANDWIDTH=400000,AVERAGE-BANDWIDTH=200000", "BANDWIDTH=40000,AVERAGE-BANDWIDTH=40000"),
    ),
    Fault("MV-AVERAGE-BANDWIDTH", master=master("AVERAGE-BANDWIDTH=200000,", "")),
    Fault("MV-CODECS", master=master('CODECS="[^"]*",', "", 1)),
    Fault("MV-CODECS-TRUE", master=master("avc1.64001f", "avc1.4d401e", 1)),
    Fault("MV-RESOLUTION", master=master("RESOLUTION=1280x720,", "")),
    Fault("MV-RESOLUTION-TRUE", master=master("1280x720", "1920x1080")),
    Fault("MV-FRAME-RATE", master=master("=30.000", "=30", 1)),
    Fault("MV-CLOSED-CAPTIONS", master=master(",CLOSED-CAPTIONS=NONE", "", 1)),
    Fault("MV-SCORE", master=master("CLOSED-CAPTIONS=NONE", "CLOSED-CAPTIONS=NONE,SCORE=1.0", 1)),
    Fault("MV-STABLE-ID", master=master("CLOSED-CAPTIONS=NONE", 'CLOSED-CAPTIONS=NONE,STABLE-VARIANT-ID="a b"', 1)),
    Fault("MV-VIDEO-RANGE", init=_hdr),
    Fault("MV-INDEPENDENT", master=master("#EXT-X-INDEPENDENT-SEGMENTS\n", "")),
    Fault(
        "MV-GROUPS",
        master=lambda text: text.replace(
            ',mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=30.000,AUDIO="audio"',
            '",RESOLUTION=640x360,FRAME-RATE=30.000,AUDIO="sound"',
        ),
    ),
    Fault("MV-MEDIA", master=master('NAME="Main",', "")),
    Fault("MV-LANGUAGE", master=master('LANGUAGE="und",', "")),
    Fault("MV-CHANNELS", master=master('CHANNELS="2",', "")),
    Fault("MV-AUDIO-SEPARATE", init=_muxed_init, part=_muxed_part),
    Fault("MV-SEVERAL", master=master(r"#EXT-X-STREAM-INF:BANDWIDTH=400000.*\n.*\n", "")),
    Fault("MV-ASPECT", master=master("640x360", "640x480"), init=_other_size),
    Fault(
        "MV-FIRST",
        master=lambda text: "\n".join([*text.split("\n")[:4], *text.split("\n")[6:8], *text.split("\n")[4:6], ""]),
    ),
    Fault("MV-AVC3", master=master("avc1", "avc3", 1), init=_avc3),
    Fault(
        "MV-PLAYLIST-200",
        master=lambda text: text + text.split("\n")[-3].replace("400000", "600000") + "\ngone/index.m3u8\n",
    ),
    Fault("IFRAME-ATTRIBUTES", master=master(",RESOLUTION=1280x720,URI", ",URI"), options=IFRAMES),
    Fault("IFRAME-ONLY", text=replaced("#EXT-X-I-FRAMES-ONLY\n", "", "iframes"), options=IFRAMES),
    Fault("IFRAME-TD", text=replaced("DURATION:2", "DURATION:3", "iframes"), options=IFRAMES),
    Fault(
        "IFRAME-MEDIA",
        answer=lambda origin, ask, one: (
            dataclasses.replace(one, body=origin.part("high", 9, 0)) if "/iframes/f" in ask.url else one
        ),
        options=IFRAMES,
    ),
    Fault("IFRAME-BLOCK", answer=answered(r"iframes/index.m3u8\?_HLS_msn", status=404), options=IFRAMES),
    Fault("IFRAME-PRESENT", options=Options(ended=True)),
    Fault("STEERING", answer=answered("steering.json", body=b"{"), options=STEERING),
)

MULTIVARIANT = {
    name: dataclasses.replace(fault, options=dataclasses.replace(fault.options, two=True))
    for name, fault in _MULTIVARIANT.items()
}

_S = r"/s\d+\.m4s"

HTTP = by_name(
    Fault("HTTP-TYPE-PLAYLIST", answer=headers("high/index.m3u8", content_type="application/octet-stream")),
    Fault("HTTP-TYPE-MEDIA", answer=headers(_S, content_type="application/octet-stream")),
    Fault("HTTP-CACHE-MULTIVARIANT", answer=headers("live/index.m3u8", cache_control="no-cache")),
    Fault("HTTP-CACHE-PLAYLIST", answer=headers("high/index.m3u8$", cache_control="no-cache")),
    Fault("CACHE-BLOCKING", answer=headers("_HLS_msn", cache_control="public, max-age=0, s-maxage=2")),
    Fault("CACHE-BROWSER", answer=headers("_HLS_msn", cache_control="public, max-age=12")),
    Fault("HTTP-CACHE-MEDIA", answer=headers(_S, cache_control="max-age=2")),
    Fault("HTTP-CACHE-ERROR", answer=headers("", least=400, most=499, cache_control="max-age=3600")),
    Fault("HTTP-GZIP", answer=answered("high/index.m3u8", encoding="")),
    Fault("HTTP-VARY", answer=headers("index.m3u8", vary=None)),
    Fault(
        "HTTP-GZIP-UNASKED", answer=answered("index.m3u8", where=lambda _, one: not one.encoding, encoding="gzip")
    ),
    Fault("HTTP-GZIP-MEDIA", answer=answered(_S, encoding="gzip")),
    Fault(
        "HTTP-LENGTH",
        answer=lambda origin, ask, one: headers(_S, content_length=None)(
            origin, ask, headers(_S, method="HEAD", content_length=None)(origin, ask, one)
        ),
    ),
    Fault("HTTP-RANGE", answer=answered(_S, where=lambda _, one: one.status == 206, status=200)),
    Fault("HTTP-RANGE-416", answer=answered(_S, where=lambda _, one: one.status == 416, status=200)),
    Fault("HTTP-HEAD", answer=answered(_S, method="HEAD", status=405)),
    Fault("HTTP-404", answer=answered(r"/s\d+-nearcast-absent", status=200)),
    Fault("HTTP-NO-REDIRECT", answer=answered(_S, redirected=True)),
    Fault("HTTP-KEEP-ALIVE", answer=headers("high", connection="close")),
    Fault("HTTP-2", options=Options(http2=False)),
    Fault("CORS", answer=headers("high/index.m3u8", access_control_allow_origin=None)),
    Fault("CORS-ERRORS", answer=headers("", least=400, most=499, access_control_allow_origin=None)),
    Fault("CORS-PREFLIGHT", answer=answered("", method="OPTIONS", status=405)),
    Fault("CORS-EXPOSE", answer=headers("high/index.m3u8", access_control_expose_headers="Date")),
)


def _slow_frames(ticks: int):  # type: ignore[no-untyped-def]
    """All frames last so long, and there are 15 in a part."""

    def edit(name: str, msn: int, index: int, samples: list[Sample]) -> list[Sample]:
        first = (4 * msn + index) * 15
        return [one.replace(dts=(first + at) * ticks, duration=ticks) for at, one in enumerate(samples)]

    return edit


def _lasting(micros: int):  # type: ignore[no-untyped-def]
    def change(segment: Segment) -> Segment:
        pdt_ms = (segment.pdt_ms or 0) + number(segment) * (micros - 2_000_000) // 1000
        return dataclasses.replace(segment, duration_us=micros, pdt_ms=pdt_ms)

    return change


def _no_idr(name: str, msn: int, index: int, samples: list[Sample]) -> list[Sample]:
    if name == "audio" or index:
        return samples
    first = samples[0]
    return [first.replace(data=bytes(first.data).replace(b"\x65", b"\x41", 1)), *samples[1:]]


def _later(name: str, msn: int, index: int, samples: list[Sample]) -> list[Sample]:
    late = 0 if msn < 11 else 9_600 if name == "audio" else VIDEO_SCALE // 5
    return [one.replace(dts=one.dts + late) for one in samples]


def _key_within(name: str, msn: int, index: int, samples: list[Sample]) -> list[Sample]:
    if name != "high" or index != 2:
        return samples
    return [one.replace(key=at == 5) for at, one in enumerate(samples)]


def _absolute(name: str, msn: int, index: int, data: bytes) -> bytes:
    """Without default-base-is-moof."""
    at = data.index(b"tfhd") + 5
    return data[:at] + bytes([data[at] & ~2]) + data[at + 1 :]


def _mono(origin: Origin, name: str, number: int, data: bytes) -> bytes:
    if name != "audio" or not number:
        return data
    return init_segment(AudioTrack(config=build_config(48_000, 1), timescale=48_000, channels=1))


def _removed_early(origin: Origin, ask: Ask, exchange: Exchange) -> Exchange:
    match = re.search(r"/s(\d+)\.m4s", ask.url)
    gone = match is not None and int(match[1]) < origin.playlist("high").media_sequence
    return dataclasses.replace(exchange, status=404) if gone else exchange


FURTHER = {
    "a segment is gone with its line": Fault(
        "SEG-200", answer=_removed_early, options=Options(window=8), also=frozenset({"DVR-15MIN"})
    ),
    "a report of long ago": Fault(
        "REPORT-FRESH",
        text=replaced(r"LAST-MSN=12,LAST-PART=[123]", "LAST-MSN=12,LAST-PART=0", "high"),
        seconds=2.9,
    ),
    "a part is redirected": Fault("HTTP-NO-REDIRECT", answer=answered(r"/p\d+\.m4s", redirected=True)),
    "a part with a key frame is not called independent": Fault(
        "PART-INDEPENDENT-FIRST", text=replaced('("p44.m4s"),INDEPENDENT=YES', r"\1", "high")
    ),
}

MEDIA = by_name(
    Fault("SEG-200", answer=answered("/high/s1[1-9].m4s", status=404)),
    Fault(
        "PART-RETENTION",
        answer=answered(r"/p3\d\.m4s", where=lambda origin, _: origin.elapsed > LATER_S, status=404),
    ),
    Fault("SEG-READABLE", whole=lambda name, msn, data: b"\0\0\0\x04mdat" * 100 if msn == 10 else data),
    Fault(
        "SEG-TD+0.5",
        samples=_slow_frames(3780),
        value=segments(_lasting(2_490_000)),
        options=CLASSIC,
        url=DIRECT,
        also=frozenset({"IDR-2S"}),
    ),
    Fault("EXTINF-TRUE", text=replaced(r"2\.0,\ns10\.", "2.05,\ns10.", "high")),
    Fault("PART-TRUE", text=replaced('DURATION=0.5,URI="p41', 'DURATION=0.45,URI="p41', "high")),
    Fault("SEG-IDR", samples=_no_idr, options=CLASSIC),
    Fault(
        "IDR-2S",
        samples=_slow_frames(4500),
        value=lambda origin, name, made: value(target_duration_s=3, server_control=control(9, 18, blocking=False))(
            origin, name, segments(_lasting(3_000_000))(origin, name, made)
        ),
        options=CLASSIC,
        url=DIRECT,
    ),
    Fault("SEG-EQ-PARTS", whole=lambda name, msn, data: data.replace(b"vvv", b"vwv", 1)),
    Fault("SEG-ALL-TRACKS", init=_muxed_init, url=DIRECT),
    Fault("SEG-CONTIGUOUS", samples=_later),
    Fault("SEG-CMAF", part=_absolute),
    Fault("PART-INDEPENDENT-TRUE", text=replaced('("p45.m4s")', r"\1,INDEPENDENT=YES", "high")),
    Fault(
        "PART-INDEPENDENT-FIRST",
        samples=_key_within,
        text=replaced(r'("p(?:34|38|42|46|50)\.m4s")', r"\1,INDEPENDENT=YES", "high"),
    ),
    Fault(
        "MAP-IMMUTABLE",
        init=lambda origin, name, number, data: data + box(b"free") if origin.elapsed > LATER_S else data,
    ),
    Fault(
        "DISC-MISSING",
        init=_mono,
        value=segments(
            lambda one: dataclasses.replace(one, map_uri="i1.mp4" if number(one) == 11 else one.map_uri), "audio"
        ),
    ),
)
