"""Request heads, headers, ranges and response heads."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.http.errors import HttpError, RangeNotSatisfiableError
from edge.protocols.http.headers import MAX_BODY, HeaderMemo, parse_headers
from edge.protocols.http.ranges import parse_range, slice_pieces
from edge.protocols.http.request import MAX_BUFFER, HeadMemo, RequestReader, parse_head, split_target
from edge.protocols.http.response import field_block, status_line


def read(data, memo=None):
    reader = RequestReader(memo or HeadMemo())
    reader.receive_data(data)
    return reader.next_request()


def head(*lines, line="GET /a HTTP/1.1", host=True):
    return "\r\n".join([line, *(["Host: x"] if host else []), *lines, "", ""]).encode("latin-1")


def test_a_request():
    request = read(head("ACCEPT-encoding: br, GZIP", "X:  y  ", line="GET /live/a%20b?x=%31&y HTTP/1.1"))
    assert (request.method, request.path, request.query) == ("GET", "/live/a b", "x=%31&y")
    assert request.headers.gzip
    assert request.headers.get("x") == "y"
    assert request.keep_alive


@pytest.mark.parametrize(
    ("line", "connection", "keeps"),
    [
        ("GET / HTTP/1.1", "", True),
        ("GET / HTTP/1.1", "Close", False),
        ("GET / HTTP/1.0", "", False),
        ("GET / HTTP/1.0", "keep-alive", False),  # an answer does not say so, and without that nobody counts on it
    ],
)
def test_keep_alive(line, connection, keeps):
    fields = [f"Connection: {connection}"] if connection else []
    assert read(head(*fields, line=line)).keep_alive is keeps


def test_upgrade():
    assert read(head("Connection: keep-alive, Upgrade", "Upgrade: websocket")).headers.upgrade


@pytest.mark.parametrize(
    ("value", "accepts"),
    [
        ("gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0.5", True),
        ("br", False),
        ("*", False),
    ],
)
def test_gzip(value, accepts):
    assert parse_headers(f"Accept-Encoding: {value}\r\n".encode()).gzip is accepts


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (head(line="get / HTTP/1.1"), 400),
        (head(line="GET  / HTTP/1.1"), 400),
        (head(line="GET / HTTP/2.0"), 505),
        (head(line="TRACE / HTTP/1.1"), 405),
        (head(host=False), 400),
        (head("no colon"), 400),
        (head("Name : x"), 400),
        (head(" folded"), 400),
        (head("X: a\x00b"), 400),
        (head("X: a\nb"), 400),
        (head("Host: y"), 400),
        (head("Host: x"), 400),
        (head("Content-Length: 1", "Content-Length: 2"), 400),
        (head("Content-Length: +1"), 400),
        (head("Content-Length: 1", "Transfer-Encoding: chunked"), 400),
        (head("Transfer-Encoding: gzip"), 501),
        (head(f"Content-Length: {MAX_BODY + 1}"), 413),
        (head(*(f"X{index}: y" for index in range(101))), 431),
        (head("X: " + "y" * 8192), 431),
        (head(line="GET /../etc HTTP/1.1"), 400),
        (head(line="GET /%2e%2e/etc HTTP/1.1"), 400),
        (head(line="GET /a%2fb HTTP/1.1"), 400),
        (head(line="GET /a%00 HTTP/1.1"), 400),
        (head(line="GET /%zz HTTP/1.1"), 400),
        (head(line="GET /%ff HTTP/1.1"), 400),
        (head(line="GET a HTTP/1.1"), 400),
    ],
)
def test_refused(data, status):
    with pytest.raises(HttpError) as caught:
        read(data)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", ("/", "")),
        ("*", ("*", "")),
        ("/a?b?c", ("/a", "b?c")),
        ("http://host/a?b", ("/a", "b")),
        ("HTTP://host", ("/", "")),
        ("/.well-known/x", ("/.well-known/x", "")),
    ],
)
def test_targets(target, expected):
    assert split_target(target) == expected


def test_pipelined_and_in_pieces():
    data = (
        head(line="GET /1 HTTP/1.1")
        + head("Content-Length: 5", line="POST /2 HTTP/1.1")
        + b"12345"
        + head(line="GET /3 HTTP/1.1")
    )
    reader, paths = RequestReader(HeadMemo()), []
    for index in range(len(data)):
        reader.receive_data(data[index : index + 1])
        while (request := reader.next_request()) is not None:
            paths.append(request.path)
    assert paths == ["/1", "/2", "/3"]


def test_rest_is_what_came_after_the_head():
    reader = RequestReader(HeadMemo())
    reader.receive_data(head("Content-Length: 5", line="POST / HTTP/1.1") + b"123")
    request = reader.next_request()
    assert request.raw.endswith(b"\r\n\r\n")
    assert reader.rest == b"123"


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_arbitrary_bytes(pieces):
    reader = RequestReader(HeadMemo())
    try:
        for piece in pieces:
            reader.receive_data(piece)
            while reader.next_request() is not None:
                pass
    except HttpError as failure:
        assert 400 <= failure.status < 600
    assert reader.waiting <= MAX_BUFFER + 200


KEYED = st.sampled_from(
    [
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Key: AAAAIHNhbXBsZSBub25jZQ==",
        "sec-websocket-key: AAAAIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Key: short",
        "Sec-WebSocket-Key:dGhlIHNhbXBsZSBub25jZQ==",
        " folded",
        "Connection: Upgrade",
        "Content-Length: 3",
        "no field",
    ]
)


@given(st.lists(st.lists(KEYED, max_size=4) | st.just(["X: y", *["A: b"] * 98]), max_size=6))
def test_a_memo_says_the_same_of_openings_that_differ_in_their_key(heads):
    memo = HeadMemo()
    for lines in heads:
        for raw in (head(*lines), head(*lines, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")):
            assert _told(lambda raw=raw: memo.parse(raw)) == _told(lambda raw=raw: parse_head(raw, HeaderMemo()))


def _told(parse):
    try:
        return parse()
    except HttpError as error:
        return error.status


@given(st.text(max_size=60))
def test_arbitrary_targets(target):
    try:
        path, _ = split_target(target)
    except HttpError:
        return
    assert path == "*" or path.startswith("/")
    assert not {".", ".."} & set(path.split("/"))


@given(st.binary(max_size=300))
def test_arbitrary_headers_and_memo(block):
    memo = HeaderMemo(size=2)
    for _ in range(2):
        with contextlib.suppress(HttpError):
            assert memo.parse(block) == parse_headers(block)


def test_too_much_sent_ahead():
    reader = RequestReader(HeadMemo())
    with pytest.raises(HttpError):
        reader.receive_data(b"x" * (MAX_BUFFER + 1))


def test_many_empty_lines_are_skipped():
    assert read(b"\r\n" * 1000 + head()).path == "/a"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", None),
        ("bytes=0-3", (0, 4)),
        ("BYTES = 2 - 99", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=4-", (4, 10)),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("bytes=-", None),
        ("bytes=٣-", None),
    ],
)
def test_ranges(value, expected):
    assert parse_range(value, 10) == expected


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_ranges_outside(value):
    with pytest.raises(RangeNotSatisfiableError):
        parse_range(value, 10)


@given(st.text(max_size=30) | st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}", fullmatch=True), st.integers(0, 100))
def test_arbitrary_ranges(value, length):
    try:
        found = parse_range(value, length)
    except RangeNotSatisfiableError:
        return
    assert found is None or 0 <= found[0] < found[1] <= length


@given(st.lists(st.binary(max_size=9), max_size=6), st.integers(0, 50), st.integers(0, 50))
def test_slices(pieces, start, end):
    whole = b"".join(pieces)
    assert b"".join(slice_pieces(tuple(pieces), start, max(start, end))) == whole[start : max(start, end)]


def test_response_head():
    assert status_line(206) == b"HTTP/1.1 206 Partial Content\r\n"
    assert status_line(799) == b"HTTP/1.1 799 Status\r\n"
    assert field_block([("A", "b")], 3) == b"A: b\r\nContent-Length: 3\r\n\r\n"
    assert field_block([], None) == b"\r\n"
    with pytest.raises(ValueError, match="line break"):
        field_block([("A", "b\r\nC: d")], 0)


def test_heads_that_never_come_again_are_not_kept():
    memo = HeadMemo()
    common = b"GET /chat HTTP/1.1\r\nHost: h\r\n"
    for number in range(3):
        memo.parse(b"%bSec-WebSocket-Key: %d\r\n\r\n" % (common, number))
        memo.parse(b"%bCMCD-Request: bl=%d\r\n\r\n" % (common, number))
    assert not memo._known
    assert not memo._headers._known
    assert memo.parse(common + b"\r\n") is memo.parse(common + b"\r\n")
