"""What an appender and its server say to each other: nothing is lost or mistaken, however it is cut."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.runtime.answers import AnswerParser, Answers
from appliance.runtime.wire import append_command, split_answers

INBOX = "_INBOX.here.abc"
BODIES = st.binary(max_size=40) | st.sampled_from([b"\r\n", b"MSG _INBOX.here.abc.1 1 0\r\n", b'{"seq":7}'])


def answer(token: int, body: bytes) -> bytes:
    return b"MSG %s.%d 2 %d\r\n%s\r\n" % (INBOX.encode(), token, len(body), body)


def other(subject: bytes, body: bytes) -> bytes:
    return b"MSG %s 3 %d\r\n%s\r\n" % (subject, len(body), body)


def status(token: int) -> bytes:
    head = b"NATS/1.0 503\r\n\r\n"
    return b"HMSG %s.%d 2 %d %d\r\n%s\r\n" % (INBOX.encode(), token, len(head), len(head), head)


class Client:
    """What the library's parser tells."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, bytes, bool]] = []

    async def _process_msg(
        self, _sid: int, subject: bytes, _reply: bytes, data: bytes, header: bytes | None
    ) -> None:
        self.heard.append((subject, data, header is not None))

    async def _process_ping(self) -> None:
        self.heard.append((b"PING", b"", False))


MESSAGES = st.lists(
    st.tuples(st.just("answer"), st.integers(0, 10**9), BODIES)
    | st.tuples(st.just("status"), st.integers(0, 9), st.just(b""))
    | st.tuples(st.just("ping"), st.just(0), st.just(b""))
    | st.tuples(st.sampled_from(["other", INBOX + ".x", INBOX + "d.1", INBOX]), st.just(0), BODIES),
    max_size=12,
)


@given(MESSAGES, st.lists(st.integers(0, 400), max_size=6))
def test_every_message_is_heard_once_however_it_is_cut(
    messages: list[tuple[str, int, bytes]], cuts: list[int]
) -> None:
    data, expected = b"", []
    for kind, token, body in messages:
        if kind == "answer":
            data += answer(token, body)
            expected.append((f"{INBOX}.{token}".encode(), body, False))
        elif kind == "status":
            data += status(token)
            expected.append((f"{INBOX}.{token}".encode(), b"", True))
        elif kind == "ping":
            data += b"PING\r\n"
            expected.append((b"PING", b"", False))
        else:
            data += other(kind.encode(), body)
            expected.append((kind.encode(), body, False))
    client = Client()
    parser = AnswerParser(client)

    def hear(answers: Answers) -> None:
        client.heard += [(f"{INBOX}.{token}".encode(), body, False) for token, body in answers]

    parser.hear(INBOX, hear)

    async def feed() -> None:
        places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        for begin, end in itertools.pairwise(places):
            await parser.parse(data[begin:end])

    asyncio.run(feed())
    assert client.heard == expected


def test_answers_come_together_and_the_rest_goes_the_usual_way() -> None:
    data = answer(1, b"a") + answer(22, b"bb\r\n") + other(b"s", b"") + answer(3, b"")
    found, end = split_answers(data, f"{INBOX}.".encode())
    assert found == [(1, b"a"), (22, b"bb\r\n")]
    assert data[end:] == other(b"s", b"") + answer(3, b"")


async def test_what_is_not_listened_for_goes_the_usual_way() -> None:
    client = Client()
    parser = AnswerParser(client)
    parser.hear(INBOX, lambda _answers: pytest.fail("it was told not to"))
    parser.ignore(INBOX)
    await parser.parse(answer(1, b"a"))
    assert client.heard == [(f"{INBOX}.1".encode(), b"a", False)]


@given(
    st.dictionaries(st.sampled_from(["Chunk", "KV-Operation", "Nats-TTL"]), st.text(st.characters(codec="ascii"))),
    st.none() | st.integers(0),
    st.integers(0, 8 << 20),
)
def test_an_append_says_what_it_was_given(headers: dict[str, str], expect: int | None, size: int) -> None:
    head = append_command("media.a.source", "_INBOX.x.1", "the-id", headers, expect, size)
    if any("\n" in value for value in headers.values()):
        assert head is None
        return
    assert head is not None
    command, _, block = head.partition(b"\r\n")
    assert command.split(b" ") == [
        b"HPUB", b"media.a.source", b"_INBOX.x.1", b"%d" % len(block), b"%d" % (len(block) + size),
    ]  # fmt: skip
    lines = [f"{name}: {value}" for name, value in {"Nats-Msg-Id": "the-id", **headers}.items()]
    if expect is not None:
        lines.append(f"Nats-Expected-Last-Subject-Sequence: {expect}")
    assert block == "\r\n".join(["NATS/1.0", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("subject", "reply", "identity", "value"),
    [
        ("a b", "r", "i", "v"),
        ("a", "r\r\nPUB x 0", "i", "v"),
        ("a", "r", "i\n", "v"),
        ("a", "r", "i", "v\r\nOther: w"),
        ("a", "r", "i", "\u00e9"),
        ("a\n", "r", "i", "v"),
    ],
)
def test_nothing_can_be_slipped_into_an_append(subject: str, reply: str, identity: str, value: str) -> None:
    assert append_command(subject, reply, identity, {"One": value}, None, 0) is None
