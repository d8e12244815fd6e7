"""Parsers to be fuzzed: what is called, which errors are right, and inputs to begin with."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from appliance.contracts.audience import unpack_sessions
from appliance.contracts.errors import BadInputError
from appliance.contracts.grants import TEXT, read_grant
from edge.ingest.packager import Packager, PackagerConfig
from edge.origin.quality.beacon import read_beacon
from edge.protocols import amf
from edge.protocols.codecs import aac, ac3, av1, avc, flac, hevc, opus, vp8, vp9, vpx
from edge.protocols.flv import TagKind, audio_tag, parse_audio, parse_video, video_tag
from edge.protocols.fmp4 import AudioTrack, Sample, VideoTrack, fragment, init_segment, read_fragments, read_init
from edge.protocols.http import cmcd
from edge.protocols.http.answers import AnswerReader
from edge.protocols.http.ranges import parse_range
from edge.protocols.http.request import HeadMemo, RequestReader
from edge.protocols.http2 import frames, hpack, huffman
from edge.protocols.http2.answer import Answer
from edge.protocols.http2.connection import MAX_STREAMS, Connection
from edge.protocols.http2.errors import ErrorCode
from edge.protocols.http2.hpack import encode_fields, encode_status
from edge.protocols.http2.requests import BlockMemo
from edge.protocols.http2.stream import Stream
from edge.protocols.irc.message import Message as IrcMessage
from edge.protocols.irc.message import build, parse
from edge.protocols.irc.reader import LineReader
from edge.protocols.proxy import parse_header
from edge.protocols.rtmp import RtmpConnection
from edge.protocols.rtmp.chunks import ChunkWriter, Message
from edge.protocols.webrtc import rtcp, stun
from edge.protocols.webrtc.answer import LocalDescription, negotiate, write_answer
from edge.protocols.webrtc.depayload import DEPAYLOADERS
from edge.protocols.webrtc.rtp import header_extension, parse_packet
from edge.protocols.webrtc.sdp import parse_fragment, parse_offer
from edge.protocols.websocket.connection import Binary, ServerConnection
from edge.protocols.websocket.deflate import compress

FOUND = Path(__file__).parent / "found"
_HANDSHAKE = b"\3" + bytes(3072)
_AVC = bytes.fromhex("0142c01effe100196742c01ed900a02ff970110000030001000003003c0f162e4801000568cb83cb20")
_MAX_TAGS = 64
_MESSAGE = 200


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
        latest = append.header.dts
        earliest = latest - append.header.lead
        for part in read_fragments(append.data):
            if not earliest <= part.base_dts <= latest or any(
                sample.duration < 0 or sample.cts < 0 for sample in part.samples
            ):
                raise AssertionError("a fragment does not say what its header says")


def _offer(data: bytes) -> None:
    """An offer that is understood is answered."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(BadInputError):
        parse_fragment(text)
    with contextlib.suppress(BadInputError):
        offer = parse_offer(text)
        negotiated = negotiate(offer)
        local = LocalDescription("u", "p" * 24, "AA:BB", 1, ("1 1 udp 1 192.0.2.1 8189 typ host",))
        write_answer(offer, negotiated, local)


def _packets(data: bytes) -> None:
    """Datagrams behind two bytes of length, to the depayloader of every codec."""
    makers = [make() for make in DEPAYLOADERS.values()]
    at = 0
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        with contextlib.suppress(BadInputError):
            packet = parse_packet(data[at + 2 : at + 2 + size], 0.0)
            header_extension(packet, 1)
            for one in makers:
                one.push(packet, after_loss=bool(at & 1))
        at += 2 + size


def _control(data: bytes) -> None:
    with contextlib.suppress(BadInputError):
        list(rtcp.parse_compound(data))
    if stun.is_stun(data):
        with contextlib.suppress(BadInputError):
            stun.local_fragment(data)
            stun.authenticate(data, b"password")


def _http1(data: bytes) -> None:
    """Requests, and answers of another role, in pieces whose size is the first byte."""
    size = 1 + data[0] if data else 1
    requests, answers = RequestReader(HeadMemo(8)), AnswerReader()
    with contextlib.suppress(BadInputError):
        for at in range(1, len(data), size):
            requests.receive_data(data[at : at + size])
            while requests.next_request() is not None:
                pass
    with contextlib.suppress(BadInputError):
        for at in range(1, len(data), size):
            answers.receive_data(data[at : at + size])
        answers.receive_eof()
    for text in data.decode("latin-1").split("\n")[:8]:
        with contextlib.suppress(BadInputError):
            parse_range(text.strip(), 1000)


def _http2(data: bytes) -> None:
    """No input raises; whatever is asked is answered, and what is written is whole frames."""
    connection = Connection(_BLOCKS, Stream, 0.0)
    size = 1 + data[0] if data else 1
    sent = frames.PREFACE + frames.settings(()) + data[1:]
    written = b""
    for number, at in enumerate(range(0, len(sent), size)):
        connection.receive_data(sent[at : at + size], number * 0.01)
        for stream in connection.requests:
            connection.respond(stream, _LARGE if stream.id & 2 else _SMALL)
        connection.requests = []
        written += b"".join(connection.take_data(40_000))
    at = 0
    while at < len(written):
        at += 9 + int.from_bytes(written[at : at + 3], "big")
    if at != len(written) or len(connection.streams) > MAX_STREAMS:
        raise AssertionError("half a frame was written, or too many streams are open")


def _websocket(data: bytes) -> None:
    """No input raises, whole or in pieces makes no difference, and no message is larger than allowed."""
    deflate, size = bool(data[:1] > b"\x7f"), 1 + data[0] % 128 if data else 1
    whole, pieces = (ServerConnection(_MESSAGE, deflate=deflate) for _ in range(2))
    events = whole.receive_data(data[1:])
    same = [event for at in range(1, len(data), size) for event in pieces.receive_data(data[at : at + size])]
    if events != same or whole.data_to_send() != pieces.data_to_send():
        raise AssertionError("it matters how the bytes are cut")
    if any(isinstance(event, Binary) and len(event.data) > _MESSAGE for event in events):
        raise AssertionError("a message is too large")


def _irc(data: bytes) -> None:
    """No input raises, whole or in pieces makes no difference, and what is built is what was read."""
    size = 1 + data[0] if data else 1
    whole, pieces = LineReader(), LineReader()
    found = whole.receive_data(data[1:])
    if found != [one for at in range(1, len(data), size) for one in pieces.receive_data(data[at : at + size])]:
        raise AssertionError("it matters how the bytes are cut")
    for one in found:
        if isinstance(one, IrcMessage) and one.params and all(one.params[:-1]):
            again = build(one.command, *one.params[:-1], text=one.params[-1], tags=one.tags.items())
            if parse(again[:-2])[:2] != one[:2]:
                raise AssertionError("what is built is something else")


def _masked(opcode: int, payload: bytes, first: int = 0x80) -> bytes:
    return bytes((first | opcode, 0x80 | len(payload))) + bytes(4) + payload


def _messages(*bodies: bytes) -> bytes:
    """A seed for the packager; audio bodies begin with a sound format."""
    out = b""
    for number, body in enumerate(bodies):
        is_video = body[0] >> 4 != 0x0A and body[0] >> 4 != 9
        out += bytes([is_video]) + (number * 5).to_bytes(2, "big") + len(body).to_bytes(2, "big") + body
    return out


def _command(*values: amf.AmfValue | int) -> bytes:
    return ChunkWriter().write(3, Message(20, 0, 0, amf.encode(values)))


_BLOCKS = BlockMemo(64)
_SMALL = Answer(encode_status(200), (b"small",))
_LARGE = Answer(encode_status(200), (b"l" * 50_000, b"m" * 50_000))
_GET = encode_fields(
    [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/live/a/index.m3u8"), (b":authority", b"e")]
)
_REQUESTS = (
    frames.frame(frames.Kind.HEADERS, 5, 1, _GET)
    + frames.frame(frames.Kind.HEADERS, 0x2D, 3, b"\x01\0\0\0\0\x0f" + _GET + b"\0")
    + frames.frame(frames.Kind.HEADERS, 0, 5, _GET[:5])
    + frames.frame(frames.Kind.CONTINUATION, 4, 5, _GET[5:])
    + frames.frame(frames.Kind.DATA, 9, 5, b"\x02body\0\0")
    + frames.window_update(0, 50_000)
    + frames.window_update(3, 50_000)
    + frames.reset(3, ErrorCode.CANCEL)
    + frames.frame(frames.Kind.PING, 0, 0, b"12345678")
    + frames.settings([(frames.Setting.INITIAL_WINDOW_SIZE, 10), (frames.Setting.HEADER_TABLE_SIZE, 0)])
)
# RFC 7541, C.4.1: indexed fields, and a literal in Huffman codes that enters the table.
_CODED = bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff")

_CODECS = _each(
    avc.parse_config, lambda data: avc.split_any(data, 4), lambda data: hevc.parse_config(data).encode(),
    av1.parse_config, av1.config_from_obus, av1.stored, av1.is_key, vpx.parse_config, vp9.parse_key_frame,
    vp8.parse_key_frame, opus.parse_config, opus.packet_samples, flac.parse_config, flac.frame_samples,
    ac3.packet_samples, aac.parse_config, aac.split_adts,
)  # fmt: skip
_OFFER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=ice-ufrag:frag
a=ice-pwd:0123456789abcdefghijklmn
a=fingerprint:sha-256 AA:BB
a=setup:actpass
a=mid:0
a=sendonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
m=video 9 UDP/TLS/RTP/SAVPF 96 97
a=mid:1
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=sendonly
a=rtcp-mux
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack pli
a=fmtp:96 packetization-mode=1;profile-level-id=42e01f
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rid:h send
a=rid:l send
a=simulcast:send h;l
"""
_PAYLOADS = (
    b"\x65key",
    b"\x78\0\3\x65ab\0\2\x41c",
    b"\x7c\x85start",
    b"\x7c\x45end",
    b"\x90\x80\1frame",
    b"\x10\x0a\1x",
)
_CHECK = b"\0\1\0\x08\x21\x12\xa4\x42" + bytes(12) + b"\0\6\0\3a:b\0"


def _datagram(number: int, payload: bytes) -> bytes:
    """An RTP packet behind its length."""
    packet = b"\x80\xe0" + number.to_bytes(2, "big") + bytes(4) + b"\0\0\0\1" + payload
    return len(packet).to_bytes(2, "big") + packet


_KEY = b"\x17\1\0\0\0" + avc.join_avcc([b"\x65picture"])
_TRACKS = video_tag("avc1", TagKind.CONFIG, key=True, track=1, data=_AVC)
_OPUS = audio_tag("Opus", TagKind.CONFIG, data=opus.config(2))
_PACKET = audio_tag("Opus", TagKind.FRAME, data=b"\xf8x")
_BEACON = (
    b'{"v":1,"session":"AAAAAAAAAAAAAAAAAAAAAA","stream_id":"s","channel":"a","player":"native","seq":0,'
    b'"state":"playing","interval_ms":1,"errors":[{"kind":"media","detail":"x"}]}'
)

TARGETS: dict[str, Target] = {
    "http1": Target(
        _http1,
        [
            b"\x20GET /live/a/index.m3u8?_HLS_msn=1 HTTP/1.1\r\nHost: e\r\nRange: bytes=0-9\r\n\r\n",
            b"\x05POST /whip HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\nabcGET * HTTP/1.0\r\n\r\n",
            b"\x03HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"\xffHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nab",
        ],
    ),
    "http2": Target(_http2, [b"\xff" + _REQUESTS, b"\x07" + _REQUESTS]),
    "websocket": Target(
        _websocket,
        [
            b"\x10" + _masked(1, b"\xc3", 0) + _masked(9, b"p") + _masked(0, b"\xbc") + _masked(8, b"\x03\xe8"),
            b"\xff" + _masked(2, compress(bytes(60)), 0xC0) + _masked(1, b"\xf2", 0x40) + _masked(0, b"\x48\0"),
        ],
    ),
    "irc": Target(
        _irc,
        [
            b"\x05@client-nonce=a\\:b;+x :n!u@h PRIVMSG #alice :hello :)\r\nPING\nCAP REQ :twitch.tv/tags\r",
            b"\xffPASS oauth:x\r\nNICK justinfan1\r\nJOIN #a,#b\r\n" + b"z" * 200 + b"\0\n",
        ],
    ),
    "hpack": Target(
        _each(lambda data: hpack.decode(hpack.Table(), data, 4096), huffman.decode),
        [_CODED, _GET, bytes.fromhex("3fe11f82be400161016162bf")],
    ),
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
    "offer": Target(_offer, [_OFFER.encode(), b"a=ice-ufrag:u\r\na=ice-pwd:p\r\nm=audio 9 UDP 0\r\na=mid:0\r\n"]),
    "packets": Target(_packets, [b"".join(_datagram(number, body) for number, body in enumerate(_PAYLOADS))]),
    "control": Target(
        _control,
        [rtcp.receiver_report(1) + rtcp.picture_loss(1, 2), rtcp.transport_feedback(1, 2, bytes(8)), _CHECK],
    ),
    "proxy": Target(
        _each(parse_header),
        [
            b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 1935\r\nrest",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(range(12)),
        ],
    ),
    "viewers": Target(
        _each(
            lambda data: cmcd.parse(data.decode("latin-1")),
            read_beacon,
            lambda data: list(unpack_sessions(data)),
            lambda data: read_grant(data.decode("latin-1")),
        ),
        [b'bl=21300,sid="6e2fb550",nor=("a" "b";r=1),su', _BEACON, b"A" * TEXT],
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
