"""Parsers to be fuzzed: what is called, which errors are right, and inputs to begin with."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from appliance.contracts.errors import BadInputError
from edge.ingest.packager import Packager, PackagerConfig
from edge.protocols import amf
from edge.protocols.codecs import aac, ac3, av1, avc, flac, hevc, opus, vp8, vp9, vpx
from edge.protocols.flv import TagKind, audio_tag, parse_audio, parse_video, video_tag
from edge.protocols.fmp4 import AudioTrack, Sample, VideoTrack, fragment, init_segment, read_fragments, read_init
from edge.protocols.rtmp import RtmpConnection
from edge.protocols.rtmp.chunks import ChunkWriter, Message

FOUND = Path(__file__).parent / "found"
_HANDSHAKE = b"\3" + bytes(3072)
_AVC = bytes.fromhex("0142c01effe100196742c01ed900a02ff970110000030001000003003c0f162e4801000568cb83cb20")
_MAX_TAGS = 64


class Target(NamedTuple):
    """`run` raises what is not BadInputError only when something is wrong."""

    run: Callable[[bytes], object]
    seeds: list[bytes]


def _each(*readers: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        for read in readers:
            with contextlib.suppress(BadInputError):
                read(data)

    return run


def _rtmp(data: bytes) -> None:
    """No input raises at all; after its deadline the connection is closed."""
    connection = RtmpConnection(0.0)
    connection.receive_data(_HANDSHAKE + data, 0.0)
    connection.accept_publish(0.0)
    connection.receive_data(data, 1.0)
    connection.events()
    connection.data_to_send()
    connection.handle_timeout(1000.0)
    if not connection.closed:
        raise AssertionError("a connection outlives its deadline")


def _packager(data: bytes) -> None:
    """Messages as type, two bytes of time, two of length: out come fragments that can be read."""
    packager, at, now_us = Packager(PackagerConfig()), 0, 1_700_000_000_000_000
    out = []
    for _ in range(_MAX_TAGS):
        if at + 5 > len(data):
            break
        stamp = int.from_bytes(data[at + 1 : at + 3], "big") * 7
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        take = packager.video if data[at] & 1 else packager.audio
        out += take(stamp, data[at + 5 : at + 5 + size], now_us=now_us)
        at += 5 + size
        now_us += 40_000
    out += packager.finish(now_us=now_us)
    for append in out:
        dts = append.header.dts
        for part in read_fragments(append.data):
            if part.base_dts != dts or any(sample.duration < 0 or sample.cts < 0 for sample in part.samples):
                raise AssertionError("a fragment does not say what its header says")


def _messages(*bodies: bytes) -> bytes:
    """A seed for the packager; audio bodies begin with a sound format."""
    out = b""
    for number, body in enumerate(bodies):
        is_video = body[0] >> 4 != 0x0A and body[0] >> 4 != 9
        out += bytes([is_video]) + (number * 5).to_bytes(2, "big") + len(body).to_bytes(2, "big") + body
    return out


def _command(*values: amf.AmfValue | int) -> bytes:
    return ChunkWriter().write(3, Message(20, 0, 0, amf.encode(values)))


_CODECS = _each(
    avc.parse_config, lambda data: avc.split_any(data, 4), lambda data: hevc.parse_config(data).encode(),
    av1.parse_config, av1.config_from_obus, av1.stored, av1.is_key, vpx.parse_config, vp9.parse_key_frame,
    vp8.parse_key_frame, opus.parse_config, opus.packet_samples, flac.parse_config, flac.frame_samples,
    ac3.packet_samples, aac.parse_config, aac.split_adts,
)  # fmt: skip
_KEY = b"\x17\1\0\0\0" + avc.join_avcc([b"\x65picture"])
_TRACKS = video_tag("avc1", TagKind.CONFIG, key=True, track=1, data=_AVC)
_OPUS = audio_tag("Opus", TagKind.CONFIG, data=opus.config(2))
_PACKET = audio_tag("Opus", TagKind.FRAME, data=b"\xf8x")

TARGETS: dict[str, Target] = {
    "flv": Target(_each(parse_video, parse_audio), [_KEY, _TRACKS, _OPUS, b"\x96\x11avc1\0\0\0\1x"]),
    "codecs": Target(_CODECS, [_AVC, opus.config(2), bytes.fromhex("0a0a0000000337fbe017c002")]),
    "amf": Target(_each(amf.decode, amf.decode_lenient), [amf.encode(["onMetaData", {"width": 1.0}])]),
    "init": Target(
        _each(read_init),
        [
            init_segment(VideoTrack(config=_AVC, width=640, height=360)),
            init_segment(AudioTrack(entry="Opus", config=opus.config(2), timescale=48_000, channels=2)),
        ],
    ),
    "fragments": Target(_each(read_fragments), [fragment(1, 1, 0, [Sample(0, 3000, 0, True, b"x")])]),
    "rtmp": Target(
        _rtmp,
        [
            _command("connect", 1, {"app": "live", "tcUrl": "rtmp://h/live", "capsEx": 15.0})
            + _command("publish", 2, None, "key", "live"),
            ChunkWriter().write(2, Message(1, 0, 0, b"\0\0\x10\0"))
            + ChunkWriter().write(6, Message(9, 1, 0, _KEY)),
        ],
    ),
    "packager": Target(
        _packager,
        [
            _messages(b"\x17\0\0\0\0" + _AVC, b"\xaf\0\x11\x90", _KEY, b"\xaf\1raw", _KEY),
            _messages(
                b"\x17\0\0\0\0" + _AVC, _TRACKS, _OPUS, _KEY, audio_tag("Opus", TagKind.FRAME, data=b"\xf8x")
            ),
        ],
    ),
}


def found(name: str) -> list[Path]:
    """Inputs that broke a target once."""
    return sorted((FOUND / name).glob("*.bin"))
