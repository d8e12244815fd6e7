"""Answers of HTTP/1.1 as a client of our own roles reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.http.answers import AnswerReader
from edge.protocols.http.errors import HttpError


def read(pieces, *, has_body=True):
    reader = AnswerReader(has_body=has_body)
    body = b"".join(reader.receive_data(piece) for piece in pieces)
    return reader, body


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 50))
def test_chunks_in_pieces(body, sizes, step):
    coded, at, turn = b"", 0, 0
    while at < len(body):
        chunk = body[at : at + sizes[turn % len(sizes)]]
        coded += b"%x;a=b\r\n%s\r\n" % (len(chunk), chunk)
        at, turn = at + len(chunk), turn + 1
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\nSum: 1\r\n\r\n"
    reader, found = read(data[at : at + step] for at in range(0, len(data), step))
    assert found == body
    assert reader.done


def test_fields_of_the_connection_are_left_out():
    reader, _ = read(
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 X\r\nA:  b \r\nConnection: close\r\nDate: d\r\n\r\n"]
    )
    assert reader.head.status == 404
    assert reader.head.fields == ((b"a", b"b"), (b"date", b"d"))


def test_what_follows_the_body_is_no_part_of_it():
    reader, body = read([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", b"ghi"])
    assert body == b"abc"
    assert reader.done


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXX",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 200,
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 20_000,
    ],
)
def test_malformed(data):
    with pytest.raises(HttpError):
        read([data])


@pytest.mark.parametrize(
    ("data", "complete"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
)
def test_the_end_of_the_connection(data, complete):
    reader, _ = read([data])
    if complete:
        reader.receive_eof()
        assert reader.done
    else:
        with pytest.raises(HttpError):
            reader.receive_eof()


def test_what_is_malformed_leaves_nothing_behind() -> None:
    """An error that is raised again and again keeps what each time was going on."""
    found = []
    for _ in range(2):
        with pytest.raises(HttpError) as caught:
            AnswerReader(has_body=True).receive_data(b"nonsense\r\n\r\n")
        found.append(caught.value)
    assert found[0] is not found[1]
