"""The connection core: what ends a connection, and the floods that a hostile peer tries."""

import struct

import pytest
from http2_bytes import END, GET, POST, Peer, data, headers

from edge.protocols.http2 import frames
from edge.protocols.http2.errors import ErrorCode
from edge.protocols.http2.frames import MAX_FRAME, Flag, Kind, Setting
from edge.protocols.http2.hpack import encode_fields

GOOD = frames.PREFACE + frames.settings(())


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n" + bytes(20), ErrorCode.PROTOCOL_ERROR),
        (frames.PREFACE + headers(1), ErrorCode.PROTOCOL_ERROR),
        (GOOD + headers(2), ErrorCode.PROTOCOL_ERROR),
        (GOOD + headers(0), ErrorCode.PROTOCOL_ERROR),
        (GOOD + headers(3) + headers(1), ErrorCode.STREAM_CLOSED),
        (GOOD + data(0, b"x"), ErrorCode.PROTOCOL_ERROR),
        (GOOD + data(1, b"x"), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.frame(Kind.DATA, 0, 1, bytes(MAX_FRAME + 1)), ErrorCode.FRAME_SIZE_ERROR),
        (GOOD + frames.frame(Kind.HEADERS, Flag.PADDED | END, 1, b"\x05abc"), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.frame(Kind.HEADERS, Flag.PRIORITY | END, 1, b"abc"), ErrorCode.FRAME_SIZE_ERROR),
        (GOOD + frames.frame(Kind.HEADERS, END, 1, b"\x80"), ErrorCode.COMPRESSION_ERROR),
        (GOOD + headers(1, flags=0) + frames.frame(Kind.PING, 0, 0, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (GOOD + headers(1, flags=0) + frames.frame(Kind.CONTINUATION, 4, 3), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.frame(Kind.CONTINUATION, 4, 1), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.frame(Kind.PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
        (GOOD + frames.frame(Kind.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.frame(Kind.SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
        (GOOD + frames.frame(Kind.SETTINGS, Flag.ACK, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
        (GOOD + frames.frame(Kind.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.settings([(Setting.ENABLE_PUSH, 2)]), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.settings([(Setting.MAX_FRAME_SIZE, 100)]), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.settings([(Setting.INITIAL_WINDOW_SIZE, 1 << 31)]), ErrorCode.FLOW_CONTROL_ERROR),
        (GOOD + frames.frame(Kind.PUSH_PROMISE, 4, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.frame(Kind.GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.frame(Kind.GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
        (GOOD + frames.frame(Kind.RST_STREAM, 0, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (GOOD + headers(1) + frames.frame(Kind.RST_STREAM, 0, 1, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
        (GOOD + frames.window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.window_update(0, (1 << 31) - 1), ErrorCode.FLOW_CONTROL_ERROR),
        (GOOD + frames.window_update(1, 5), ErrorCode.PROTOCOL_ERROR),
        (GOOD + frames.frame(Kind.WINDOW_UPDATE, 0, 0, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
    ],
)
def test_errors_of_the_connection(sent, reason):
    peer = Peer(greet=False)
    peer.send(sent)
    assert peer.reason() == reason
    peer.send(headers(9))
    assert not peer.read()


def test_frames_after_the_end_of_a_request():
    peer = Peer()
    peer.get()
    peer.send(data(1, b"more"))
    assert peer.resets() == [(1, ErrorCode.STREAM_CLOSED)]


def test_unknown_frames_and_settings_are_ignored():
    peer = Peer(None, (0x99, 7))
    peer.send(frames.frame(0x77, 0xFF, 5, b"what?"), frames.frame(Kind.GOAWAY, 0, 0, bytes(8)))
    peer.get()
    assert len(peer.requests()) == 1


# -- floods


@pytest.mark.parametrize(
    "flood",
    [
        lambda number: headers(number) + frames.reset(number, ErrorCode.CANCEL),  # rapid reset
        lambda _: frames.frame(Kind.PING, 0, 0, bytes(8)),
        lambda _: frames.settings(()),
        lambda _: frames.window_update(0, 1),
        lambda _: frames.frame(Kind.PRIORITY, 0, 1, struct.pack("!IB", 0, 0)),
        lambda _: frames.frame(0x77, 0, 0, b""),
        lambda number: headers(number, GET[1:]),  # malformed, each answered by a reset
    ],
)
def test_floods_end_the_connection(flood):
    peer = Peer()
    for number in range(1, 6001, 2):
        peer.send(flood(number))
        if peer.core.dead:
            break
    assert peer.reason() == ErrorCode.ENHANCE_YOUR_CALM


def test_an_honest_pace_is_no_flood():
    peer = Peer()
    for number in range(1, 2001, 2):
        peer.now += 0.1
        peer.send(headers(number), frames.reset(number, ErrorCode.CANCEL), frames.frame(Kind.PING, 0, 0, bytes(8)))
        peer.read()
    assert not peer.core.dead


def test_a_flood_of_empty_data():
    peer = Peer()
    peer.get(fields=POST, flags=Flag.END_HEADERS)
    for _ in range(3000):
        peer.send(data(1))
    assert peer.reason() == ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(("size", "count"), [(MAX_FRAME, 10), (0, 100)])
def test_a_flood_of_continuation(size, count):
    peer = Peer()
    peer.send(headers(1, flags=0))
    for _ in range(count):
        peer.send(frames.frame(Kind.CONTINUATION, 0, 1, bytes(size)))
    assert peer.reason() == ErrorCode.ENHANCE_YOUR_CALM


def test_a_header_bomb_is_refused_and_stays_small():
    peer = Peer()
    big = encode_fields([(b"x", b"y" * 3000)])
    insert = b"\x40" + big[1:]
    peer.send(frames.frame(Kind.HEADERS, END, 1, encode_fields(GET) + insert + b"\xbe" * 1500))
    (stream,) = peer.requests()
    assert stream.head.status == 431


def test_sixty_four_kilobytes_of_head_are_refused():
    peer = Peer()
    block = encode_fields((*GET, (b"x", b"y" * 64 * 1024)))
    parts = [block[at : at + MAX_FRAME] for at in range(0, len(block), MAX_FRAME)]
    peer.send(frames.frame(Kind.HEADERS, Flag.END_STREAM, 1, parts[0]))
    for part in parts[1:-1]:
        peer.send(frames.frame(Kind.CONTINUATION, 0, 1, part))
    peer.send(frames.frame(Kind.CONTINUATION, Flag.END_HEADERS, 1, parts[-1]))
    assert peer.requests()[0].head.status == 431


def test_more_than_the_window_is_an_error():
    peer = Peer()
    peer.get(fields=POST, flags=Flag.END_HEADERS)
    peer.get(3, fields=POST, flags=Flag.END_HEADERS)
    for _ in range(3):
        peer.send(data(1, bytes(MAX_FRAME)))
    peer.send(data(3, bytes(MAX_FRAME)))
    assert peer.reason() == ErrorCode.FLOW_CONTROL_ERROR
