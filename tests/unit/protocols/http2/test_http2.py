"""The connection core: requests, answers, flow control, states, and what a hostile peer tries."""

import struct

import pytest
from http2_bytes import END, GET, POST, Peer, data, fields_of, headers
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.http.errors import HttpError
from edge.protocols.http2 import frames
from edge.protocols.http2.answer import Answer
from edge.protocols.http2.connection import MAX_STREAMS, NEVER
from edge.protocols.http2.errors import ErrorCode
from edge.protocols.http2.frames import MAX_FRAME, Flag, Kind, Setting
from edge.protocols.http2.hpack import encode_fields, encode_status
from edge.protocols.http2.requests import BlockMemo

WINDOW = 65_535


def answer(size, status=200):
    return Answer(encode_status(status), (b"x" * (size // 2), b"y" * (size - size // 2)))


def ask(peer, number=1):
    peer.get(number)
    (stream,) = peer.requests()
    return stream


def test_a_request_and_its_answer():
    peer = Peer()
    stream = ask(peer)
    assert (stream.head.method, stream.head.path, stream.head.query) == ("GET", "/a", "b")
    assert stream.head.headers.get("host") == "edge"
    assert stream.head.raw.startswith(b"GET /a?b HTTP/1.1\r\nhost: edge\r\n")
    peer.core.respond(stream, answer(10))
    (head, body) = peer.read()
    assert head == (Kind.HEADERS, Flag.END_HEADERS, 1, b"\x88")
    assert body == (Kind.DATA, Flag.END_STREAM, 1, b"xxxxxyyyyy")
    assert not peer.core.streams


@pytest.mark.parametrize("size", [0, 10])
def test_head_has_no_body(size):
    peer = Peer()
    peer.core.respond(ask(peer), answer(size), head_only=True)
    assert peer.read() == [(Kind.HEADERS, END, 1, b"\x88")]


def test_settings_ping_and_bytes_one_by_one():
    peer = Peer(greet=False)
    hello = frames.PREFACE + frames.settings(()) + frames.frame(Kind.PING, 0, 0, b"12345678") + headers(1)
    for at in range(len(hello)):
        peer.send(hello[at : at + 1])
    kinds = peer.read()
    assert [kind for kind, *_ in kinds] == [Kind.SETTINGS, Kind.SETTINGS, Kind.PING]
    assert kinds[2][1:] == (Flag.ACK, 0, b"12345678")
    assert len(peer.requests()) == 1


def test_padding_priority_and_continuation():
    peer = Peer()
    block = encode_fields(GET)
    first = b"\x03" + struct.pack("!IB", 0, 15) + block[:9] + b"\0\0\0"
    flags = Flag.PADDED | Flag.PRIORITY | Flag.END_STREAM
    peer.send(
        frames.frame(Kind.HEADERS, flags, 1, first),
        frames.frame(Kind.CONTINUATION, 0, 1, block[9:20]),
        frames.frame(Kind.CONTINUATION, Flag.END_HEADERS, 1, block[20:]),
    )
    assert peer.requests()[0].head.path == "/a"


def test_a_body_and_its_credit():
    peer = Peer()
    peer.get(fields=(*POST, (b"content-length", b"6")), flags=Flag.END_HEADERS)
    assert not peer.requests()
    padded = frames.frame(Kind.DATA, Flag.PADDED, 1, b"\x02abc\0\0")
    peer.send(padded, data(1, b"def", end=True))
    (stream,) = peer.requests()
    assert stream.body == b"abcdef"
    assert (Kind.WINDOW_UPDATE, 0, 0, struct.pack("!I", 9)) in peer.read()


def test_trailers_end_a_request():
    peer = Peer()
    peer.get(fields=POST, flags=Flag.END_HEADERS)
    peer.send(data(1, b"abc"), headers(1, [(b"x-sum", b"1")]))
    assert peer.requests()[0].body == b"abc"


def test_cookies_are_joined():
    peer = Peer()
    peer.get(fields=(*GET, (b"cookie", b"a=1"), (b"cookie", b"b=2")))
    assert peer.requests()[0].head.headers.get("cookie") == "a=1; b=2"


# -- flow control


def test_a_body_waits_for_the_windows_and_is_not_copied():
    peer = Peer()
    body = b"z" * 200_000
    stream = ask(peer)
    peer.core.respond(stream, Answer(b"\x88", (body,)))
    pieces = peer.core.take_data(1 << 20)
    bodies = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert sum(len(piece) for piece in bodies) == WINDOW
    assert all(piece.obj is body for piece in bodies)
    assert stream.waiting == 200_000 - WINDOW
    peer.send(frames.window_update(0, 1 << 20))
    assert not peer.data()  # the stream's window is still closed
    peer.send(frames.window_update(1, 1 << 20))
    assert sum(len(payload) for kind, _, _, payload in peer.read() if kind == Kind.DATA) == 200_000 - WINDOW
    assert not peer.core.streams


def test_a_window_may_become_negative():
    peer = Peer()
    stream = ask(peer)
    peer.core.respond(stream, answer(30_000))
    assert len(peer.data(20_000)) > 16_000
    peer.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 100)]))
    assert peer.kinds() == [Kind.SETTINGS]
    peer.send(frames.window_update(1, 30_000))
    assert sum(len(payload) for *_, payload in peer.read()) > 10_000
    assert not peer.core.streams


def test_bodies_take_turns():
    peer = Peer(None, (Setting.INITIAL_WINDOW_SIZE, 1 << 20))
    peer.send(frames.window_update(0, 1 << 20))
    for number in (1, 3, 5):
        peer.core.respond(ask(peer, number), answer(3 * MAX_FRAME))
    peer.read(0)
    turns = [
        number for kind, _, number, _ in peer.read(2 * MAX_FRAME) + peer.read(3 * MAX_FRAME) if kind == Kind.DATA
    ]
    assert turns[:5] == [1, 3, 5, 1, 3]


def test_a_full_socket_gets_heads_only():
    peer = Peer()
    peer.core.pause(paused=True)
    stream = ask(peer)
    peer.core.respond(stream, answer(10))
    assert peer.kinds() == [Kind.HEADERS]
    assert stream.waiting == 10
    peer.core.pause(paused=False)
    assert peer.kinds() == [Kind.DATA]


def test_a_body_that_goes_on():
    peer = Peer()
    stream = ask(peer)
    peer.core.begin(stream, b"\x88")
    peer.core.send(stream, b"one")
    assert peer.kinds() == [Kind.HEADERS, Kind.DATA]
    peer.core.send(stream, b"", last=True)
    assert peer.read() == [(Kind.DATA, Flag.END_STREAM, 1, b"")]
    assert not peer.core.streams


def test_a_smaller_table_is_acknowledged_in_the_next_block():
    peer = Peer(None, (Setting.HEADER_TABLE_SIZE, 0))
    for number, expected in ((1, b"\x20\x88"), (3, b"\x88")):
        peer.core.respond(ask(peer, number), answer(5))
        assert peer.read()[0][3] == expected


def test_blocks_are_read_once_for_all_connections():
    memo = BlockMemo(size=2)
    indexed = b"".join(b"\x40" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in GET)
    heads = []
    for _ in range(3):
        peer = Peer(memo)
        for number, block in ((1, indexed), (3, b"\xc1\xc0\xbf\xbe"), (5, b"\xc1\xc0\xbf\xbe")):
            peer.send(frames.frame(Kind.HEADERS, END, number, block))
        found = peer.requests()
        assert [stream.head.path for stream in found] == ["/a"] * 3
        heads.append(found[2].head)
    assert heads[0] == heads[1] == heads[2]


# -- refusals that are answers


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((*GET[:3], (b":path", b"/../etc")), 400),
        ((*GET[:3], (b":path", b"/a%2fb")), 400),
        (((b":method", b"BREW"), *GET[1:]), 405),
        (((b":method", b"CONNECT"), (b":authority", b"a:1")), 405),
        ((*GET, *((b"x%d" % index, b"y") for index in range(120))), 431),
        ((*GET, (b"x", b"y" * 9000)), 431),
        ((*POST, (b"content-length", b"99999")), 413),
    ],
)
def test_refused_requests(fields, status):
    peer = Peer()
    peer.get(fields=fields, flags=Flag.END_HEADERS)
    (stream,) = peer.requests()
    assert isinstance(stream.head, HttpError)
    assert stream.head.status == status
    peer.core.respond(stream, answer(5, status))
    assert peer.resets() == [(1, ErrorCode.NO_ERROR)]
    peer.send(data(1, b"on its way", end=True))
    assert not peer.core.dead


def test_a_body_without_an_end_in_sight_is_too_large():
    peer = Peer()
    peer.get(fields=POST, flags=Flag.END_HEADERS)
    for size in (MAX_FRAME, MAX_FRAME, MAX_FRAME, WINDOW - 3 * MAX_FRAME):
        peer.send(data(1, b"x" * size))
    (stream,) = peer.requests()
    assert stream.head.status == 413
    peer.core.respond(stream, answer(5, 413))
    assert (Kind.WINDOW_UPDATE, 0, 0, struct.pack("!I", WINDOW)) in peer.read()


# -- malformed requests end their stream


@pytest.mark.parametrize(
    "fields",
    [
        GET[1:],
        GET[:1] + GET[2:],
        GET[:3],
        (*GET[:3], (b":path", b"")),
        (*GET[:3], (b":path", b"http://a/")),
        (*GET, (b":path", b"/again")),
        (*GET, (b":status", b"200")),
        ((b"a", b"b"), *GET),
        (*GET, (b"Upper", b"x")),
        (*GET, (b"", b"x")),
        (*GET, (b"a", b"b\r\nc: d")),
        (*GET, (b"a", b"b\0")),
        (*GET, (b"a", b" b")),
        (*GET, (b"connection", b"close")),
        (*GET, (b"transfer-encoding", b"chunked")),
        (*GET, (b"te", b"gzip")),
        (*GET, (b"host", b"other")),
        (*GET, (b"content-length", b"3")),
    ],
)
def test_malformed_requests(fields):
    peer = Peer()
    peer.get(fields=fields)
    assert not [stream for stream in peer.requests() if not stream.closed]
    assert peer.resets() == [(1, ErrorCode.PROTOCOL_ERROR)]
    peer.get(3)
    assert len(peer.requests()) == 1


@pytest.mark.parametrize(
    ("frames_after", "reason"),
    [
        ([data(1, b"1234567")], ErrorCode.PROTOCOL_ERROR),
        ([data(1, b"12", end=True)], ErrorCode.PROTOCOL_ERROR),
        ([headers(1, [(b"a", b"b")], Flag.END_HEADERS)], ErrorCode.PROTOCOL_ERROR),
        ([frames.window_update(1, 0)], ErrorCode.PROTOCOL_ERROR),
        ([frames.window_update(1, (1 << 31) - 1)], ErrorCode.FLOW_CONTROL_ERROR),
        ([frames.frame(Kind.PRIORITY, 0, 1, struct.pack("!IB", 1, 0))], ErrorCode.PROTOCOL_ERROR),
        ([frames.frame(Kind.PRIORITY, 0, 1, b"123")], ErrorCode.FRAME_SIZE_ERROR),
    ],
)
def test_errors_of_one_stream(frames_after, reason):
    peer = Peer()
    peer.get(fields=(*POST, (b"content-length", b"6")), flags=Flag.END_HEADERS)
    peer.send(*frames_after)
    assert peer.resets() == [(1, reason)]
    assert [stream.id for stream in peer.core.ended] == [1]
    assert not peer.core.dead


def test_streams_are_limited():
    peer = Peer()
    for number in range(1, 2 * MAX_STREAMS + 2, 2):
        peer.get(number)
    assert peer.resets() == [(2 * MAX_STREAMS + 1, ErrorCode.REFUSED_STREAM)]
    assert len(peer.core.streams) == MAX_STREAMS


def test_a_reset_stream_is_not_served():
    peer = Peer()
    peer.send(headers(1), frames.reset(1, ErrorCode.CANCEL))
    (stream,) = peer.requests()
    assert stream.closed
    assert peer.core.ended == [stream]
    peer.core.respond(stream, answer(10))
    assert not peer.read()


# -- time and ends


def test_since_when_something_is_incomplete():
    peer = Peer()
    assert peer.core.partial_since == NEVER
    peer.now = 5.0
    peer.send(headers(1)[:7])
    peer.now = 6.0
    peer.send(headers(1)[7:10])
    assert peer.core.partial_since == 5.0
    peer.send(headers(1)[10:])
    assert peer.core.partial_since == NEVER
    peer.send(headers(3, flags=0))
    peer.now = 9.0
    peer.send(frames.frame(Kind.CONTINUATION, 0, 3))
    assert peer.core.partial_since == 6.0


def test_leaving():
    peer = Peer()
    first = ask(peer)
    peer.core.leave(finally_=False)
    assert peer.read() == [(Kind.GOAWAY, 0, 0, struct.pack("!II", (1 << 31) - 1, 0))]
    second = ask(peer, 3)
    peer.core.leave(finally_=True)
    assert peer.read() == [(Kind.GOAWAY, 0, 0, struct.pack("!II", 3, 0))]
    peer.get(5)
    assert peer.resets() == [(5, ErrorCode.REFUSED_STREAM)]
    for stream in (first, second):
        peer.core.respond(stream, answer(5))
    assert not peer.core.streams


def test_the_end_of_the_socket_ends_all_streams():
    peer = Peer()
    streams = [ask(peer, number) for number in (1, 3)]
    peer.core.respond(streams[0], answer(1 << 20))
    peer.core.close()
    assert peer.core.ended == streams
    assert all(stream.closed for stream in streams)


# -- properties


@given(st.lists(st.binary(max_size=120), max_size=6))
def test_arbitrary_bytes(pieces):
    peer = Peer()
    for piece in pieces:
        peer.send(piece)
    assert peer.core.dead or len(peer.core._buffer) < MAX_FRAME + 9


FRAMES = st.builds(
    frames.frame,
    st.integers(0, 10),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D]),
    st.integers(0, 7),
    st.binary(max_size=20) | st.just(encode_fields(GET)) | st.just(bytes(4)) | st.just(bytes(8)),
)


@given(st.lists(FRAMES, max_size=12), st.integers(1, 60_000))
def test_arbitrary_frames_keep_the_books(sent, size):
    peer = Peer()
    for frame in sent:
        peer.send(frame)
        for stream in peer.requests():
            peer.core.respond(stream, answer(size))
        peer.read()
    core = peer.core
    waiting = sum(stream.incoming.received for stream in core.streams.values() if stream.incoming is not None)
    assert core.dead or core._receive_window == WINDOW - waiting
    assert set(core._sender.pending) <= set(core.streams)
    assert len(core.streams) <= MAX_STREAMS


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=5), st.lists(st.integers(1, 50_000), max_size=20))
def test_windows_are_kept_and_everything_arrives(sizes, updates):
    peer = Peer()
    bodies = {}
    for index, size in enumerate(sizes):
        stream = ask(peer, 2 * index + 1)
        peer.core.respond(stream, answer(size))
        bodies[stream.id] = [size, 0, WINDOW]
    window = WINDOW
    for update in [0, *updates, *([200_000] * 4)]:
        if update:
            peer.send(*(frames.window_update(number, update) for number in (0, *bodies)))
            window += update
            for body in bodies.values():
                body[2] += update
        for kind, _, number, payload in peer.read(30_000) + peer.read():
            if kind == Kind.DATA:
                window -= len(payload)
                bodies[number][1] += len(payload)
                bodies[number][2] -= len(payload)
                assert window >= 0
                assert bodies[number][2] >= 0
    assert all(size == got for size, got, _ in bodies.values())


def test_answers_say_what_they_are():
    peer = Peer()
    peer.core.respond(ask(peer), Answer(encode_status(421) + encode_fields([(b"a", b"b")]), ()))
    ((_, _, _, payload),) = peer.read()
    assert fields_of(payload) == {b":status": b"421", b"a": b"b"}
    with pytest.raises(ValueError, match="too many header fields"):
        Answer(bytes(MAX_FRAME + 1), ())
