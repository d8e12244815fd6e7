"""Lines of IRC: what is built is read back, however the bytes are cut; limits; lines that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.irc.message import (
    MAX_LINE_BYTES,
    MAX_TAGS_BYTES,
    IrcError,
    Message,
    build,
    escape,
    parse,
    unescape,
)
from edge.protocols.irc.reader import LineReader, Rejected

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=60)
_WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0 "), min_size=1, max_size=12)
_PARAM = _WORD.filter(lambda word: word[0] != ":")
_KEY = st.from_regex(r"\+?[a-z][a-z./-]{0,10}\Z", fullmatch=True)
_VALUE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_PREFIX = st.from_regex(r"[a-z]{1,8}(![a-z]{1,8}@[a-z.]{1,8})?\Z", fullmatch=True)


@given(
    st.sampled_from(["PRIVMSG", "CAP", "001"]),
    st.lists(_PARAM, max_size=5),
    st.none() | _TEXT,
    st.just("") | _PREFIX,
    st.dictionaries(_KEY, _VALUE, max_size=5),
)
def test_what_is_built_is_read_back(command, params, text, prefix, tags):
    line = build(command, *params, text=text, prefix=prefix, tags=tags.items())
    assert line.endswith(b"\r\n")
    assert line.count(b"\n") == line.count(b"\r") == 1
    wanted = (*params, *([] if text is None else [text]))
    assert parse(line[:-2]) == Message(command, wanted, prefix, tags)


@given(_VALUE)
def test_values_of_tags(value):
    assert unescape(escape(value)) == value
    assert not set(escape(value)) & set("; \r\n")


@given(
    st.lists(st.sampled_from([b"PING :a", b"@a=b :p CAP LS", b"\xff\xfe", b"12", b"NICK b\xc3\xbc", b"x\0y"])),
    st.data(),
)
def test_it_does_not_matter_how_bytes_are_cut(lines, data):
    whole = b"".join(line + data.draw(st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n"])) for line in lines)
    expected = LineReader().receive_data(whole)
    assert len(expected) == len(lines)
    reader, found, at = LineReader(), [], 0
    while at < len(whole):
        size = data.draw(st.integers(1, 9))
        found += reader.receive_data(whole[at : at + size])
        at += size
    assert found == expected


@given(st.binary(max_size=300))
def test_nothing_raises(data):
    reader = LineReader()
    for one in reader.receive_data(data) + reader.receive_data(b"\nPING x\n"):
        assert isinstance(one, Message | Rejected)
    assert reader.receive_data(b"PING y\r\n") == [Message("PING", ("y",))]


def test_lines_as_clients_send_them():
    assert parse(b"@reply-parent-msg-id=1;client-nonce=a\\sb;+typing PRIVMSG #a :hello :) there") == Message(
        "PRIVMSG", ("#a", "hello :) there"), "", {"reply-parent-msg-id": "1", "client-nonce": "a b", "+typing": ""}
    )
    assert parse(b"  :nick!u@h   privmsg   #a    word  ") == Message("PRIVMSG", ("#a", "word"), "nick!u@h")
    assert parse(b"CAP REQ :a b").param(1) == "a b"
    assert parse(b"CAP").param(1) == ""
    assert parse(b"PRIVMSG #a :\xff\xfe!").params == ("#a", "\ufffd\ufffd!")
    assert parse(b"USER " + b" ".join(b"%d" % n for n in range(20))).params[14] == "14 15 16 17 18 19"
    assert len(parse(b"@" + b";".join(b"k%d=v" % n for n in range(500)) + b" PING").tags) == 100
    assert unescape("a\\") == "a"
    assert unescape("\\b\\\\") == "b\\"
    for wrong in (b"", b":only-a-prefix", b"@a=b", b"12", b"PRIV\x00MSG", b"P\xc3\xafNG", b"A" * 33):
        with pytest.raises(IrcError):
            parse(wrong)


@pytest.mark.parametrize("param", ["", "a b", ":a", "a\r", "\n", "\0"])
def test_only_words_are_parameters(param):
    with pytest.raises(ValueError, match="no parameter"):
        build("PRIVMSG", param)


def test_nobodys_words_are_another_line():
    assert build("PRIVMSG", "#a", text="x\r\nQUIT\0") == b"PRIVMSG #a :x  QUIT\r\n"


def test_limits():
    reader = LineReader()
    tags = b"@a=" + b"x" * (MAX_TAGS_BYTES - 4) + b" "
    line = b"PRIVMSG #a :" + b"y" * (MAX_LINE_BYTES - 12)
    assert [type(one) for one in reader.receive_data(tags + line + b"\n")] == [Message]
    too_long = [Rejected(too_long=True)]
    assert reader.receive_data(tags + line + b"y\n") == too_long
    assert reader.receive_data(b"@" + tags + b"PING\n") == too_long
    assert reader.receive_data(line + b"y\n") == too_long
    for _ in range(64):
        too_long += reader.receive_data(b"z" * 1024)
    assert too_long == 2 * [Rejected(too_long=True)]
    assert len(reader._held) == 0
    assert reader.receive_data(b"rest\nPING a\n") == [Message("PING", ("a",))]
