"""Header compression: the examples of RFC 7541, appendix C, its limits, and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.http2 import huffman
from edge.protocols.http2.errors import ErrorCode, Http2Error
from edge.protocols.http2.hpack import (
    STATIC,
    TABLE_SIZE,
    Table,
    decode,
    encode_field,
    encode_fields,
    encode_status,
)

MANY = 1 << 20
GET = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")]
SECOND = [*GET, (b"cache-control", b"no-cache")]
THIRD = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":path", b"/index.html"),
    (b":authority", b"www.example.com"),
    (b"custom-key", b"custom-value"),
]
# Appendices C.3 and C.4: the same three requests without and with Huffman codes.
PLAIN = [
    "828684410f7777772e6578616d706c652e636f6d",
    "828684be58086e6f2d6361636865",
    "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
]
CODED = [
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
]
# C.5 and C.6: answers in a table of 256 bytes, where entries are evicted.
ANSWERS_PLAIN = [
    (
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
        "6e1768747470733a2f2f7777772e6578616d706c652e636f6d"
    ),
    "4803333037c1c0bf",
    (
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a"
        "584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31"
    ),
]
ANSWERS_CODED = [
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    "4883640effc1c0bf",
    (
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f"
        "3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"
    ),
]
DATE, LATER = b"Mon, 21 Oct 2013 20:13:21 GMT", b"Mon, 21 Oct 2013 20:13:22 GMT"
URL = (b"location", b"https://www.example.com")
COOKIE = b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
ANSWERS = [
    [(b":status", b"302"), (b"cache-control", b"private"), (b"date", DATE), URL],
    [(b":status", b"307"), (b"cache-control", b"private"), (b"date", DATE), URL],
    [
        (b":status", b"200"), (b"cache-control", b"private"), (b"date", LATER), URL,
        (b"content-encoding", b"gzip"), (b"set-cookie", COOKIE),
    ],
]  # fmt: skip


def reason(block):
    with pytest.raises(Http2Error) as caught:
        decode(Table(), bytes.fromhex(block), MANY)
    return caught.value.reason


@pytest.mark.parametrize(
    ("block", "expected", "size"),
    [
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", (b"custom-key", b"custom-header"), 55),
        ("040c2f73616d706c652f70617468", (b":path", b"/sample/path"), 0),
        ("100870617373776f726406736563726574", (b"password", b"secret"), 0),
        ("82", (b":method", b"GET"), 0),
    ],
)
def test_representations_of_c2(block, expected, size):
    fields, table = decode(Table(), bytes.fromhex(block), MANY)
    assert fields == [expected]
    assert table.size == size


@pytest.mark.parametrize("blocks", [PLAIN, CODED])
def test_requests_of_c3_and_c4(blocks):
    table = Table()
    for block, expected, size in zip(blocks, [GET, SECOND, THIRD], [57, 110, 164], strict=True):
        fields, table = decode(table, bytes.fromhex(block), MANY)
        assert fields == expected
        assert table.size == size
    assert table.entries[0] == (b"custom-key", b"custom-value")


@pytest.mark.parametrize("blocks", [ANSWERS_PLAIN, ANSWERS_CODED])
def test_eviction_of_c5_and_c6(blocks):
    table = Table().resized(256)
    for block, expected, size in zip(blocks, ANSWERS, [222, 222, 215], strict=True):
        fields, table = decode(table, bytes.fromhex(block), MANY)
        assert fields == expected
        assert table.size == size
    assert [name for name, _ in table.entries] == [b"set-cookie", b"content-encoding", b"date"]


@pytest.mark.parametrize(("number", "coded"), [(10, "2a"), (1337, "3f9a0a"), (4096, "3fe11f")])
def test_integers_of_c1(number, coded):
    _, table = decode(Table(), bytes.fromhex(coded), MANY)  # the size of a table has a prefix of five bits
    assert table.limit == number


@pytest.mark.parametrize(
    "block",
    [
        "80",  # index 0
        "be",  # beyond both tables
        "ff80808080808001",  # an integer that does not end
        "ffffffffff0f",  # a large one
        "40",  # no name
        "4001",  # a string longer than its block
        "400161",  # no value
        "3fe21f",  # a table larger than allowed
        "823e",  # a table resized behind a field
        "0084ffffffff00",  # EOS inside a string
        "0081ff00",  # eight bits of padding
        "00810000",  # padding of zeros
    ],
)
def test_malformed_blocks(block):
    assert reason(block) == ErrorCode.COMPRESSION_ERROR


def test_a_block_made_to_cost_time():
    with pytest.raises(Http2Error) as caught:
        decode(Table(((b"", b""),), 32), b"\xbe" * 5000, 4096)
    assert caught.value.reason == ErrorCode.ENHANCE_YOUR_CALM


def test_more_fields_than_wanted_keep_the_table_right():
    block = encode_field(b"a", b"x" * 100) * 3 + bytes.fromhex("400161016240016301" + "64")
    fields, table = decode(Table(), block, 200)
    assert fields is None
    assert table.entries == ((b"c", b"d"), (b"a", b"b"))


def test_an_entry_larger_than_the_table_empties_it():
    table = Table().with_entry((b"a", b"b")).with_entry((b"a", b"x" * TABLE_SIZE))
    assert table.entries == ()
    assert table.size == 0


def test_huffman_of_every_byte():
    codes = {symbol: (code, length) for symbol, code, length in huffman._codes()}
    everything = bytes(range(256))
    bits = "".join(f"{codes[byte][0]:0{codes[byte][1]}b}" for byte in everything)
    bits += "1" * (-len(bits) % 8)
    assert huffman.decode(int(bits, 2).to_bytes(len(bits) // 8, "big")) == everything


@given(st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=300)), max_size=8))
def test_what_is_encoded_is_decoded(fields):
    found, table = decode(Table(), encode_fields(fields), MANY)
    assert found == fields
    assert table == Table()


@pytest.mark.parametrize("status", [100, 200, 204, 304, 404, 421, 503])
def test_status(status):
    assert decode(Table(), encode_status(status), MANY)[0] == [(b":status", b"%d" % status)]


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_arbitrary_blocks_keep_the_table_bounded(blocks):
    table = Table()
    for block in blocks:
        try:
            _, table = decode(table, block, 4096)
        except Http2Error:
            return
        assert table.size == sum(len(name) + len(value) + 32 for name, value in table.entries)
        assert table.size <= table.limit <= TABLE_SIZE


def test_the_static_table():
    assert len(STATIC) == 61
    assert STATIC[60] == (b"www-authenticate", b"")
    assert STATIC[15] == (b"accept-encoding", b"gzip, deflate")
