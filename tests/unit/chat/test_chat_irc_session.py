"""A session of IRC without a socket: coming in, capabilities, rooms, what is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.chat.irc.capabilities import Caps
from edge.chat.irc.session import Bounded, CapsChanged, Join, LogIn, Part, Say, Session, as_typed
from edge.protocols.irc.message import Message, parse
from edge.protocols.irc.reader import LineReader, Rejected


def told(session, line, now=0.0):
    events = session.receive(parse(line.encode()), now)
    return events, session.lines_to_send().decode().split("\r\n")[:-1]


def registered(now=0.0):
    session = Session(now)
    assert told(session, "PASS oauth:abc") == ([], [])
    assert told(session, "NICK Bob") == ([LogIn("abc")], [])
    session.welcome("Bob")
    assert session.lines_to_send().startswith(b":tmi.twitch.tv 001 bob :Welcome")
    return session


def test_a_token_may_come_with_or_without_its_prefix_and_behind_the_name():
    session = Session(0.0)
    assert told(session, "NICK bob") == ([], [])
    assert told(session, "PASS abc") == ([LogIn("abc")], [])
    session.refuse("no")
    assert session.lines_to_send() == b":tmi.twitch.tv NOTICE * :no\r\n"
    assert session.over
    assert told(session, "PING a") == ([], [])


def test_nobody_reads_as_justinfan():
    session = Session(0.0)
    _, lines = told(session, "NICK JustinFan123")
    assert session.is_registered
    assert session.is_anonymous
    assert lines[0] == ":tmi.twitch.tv 001 justinfan123 :Welcome, GLHF!"
    for name in ("justinfan", "justinfanx", "justinfan1x"):
        assert told(Session(0.0), f"NICK {name}") == ([], [])


def test_who_is_in_stays_who_it_is():
    session = registered()
    assert told(session, "PASS oauth:other")[1] == [":tmi.twitch.tv 462 bob :You may not reregister"]
    assert told(session, "NICK other") == ([], [])
    assert session.nick == "bob"
    assert told(session, "QUIT :bye") == ([], [])
    assert session.over


def test_capabilities():
    session = Session(0.0)
    events, lines = told(session, "CAP LS 302")
    assert events == []
    assert lines == [
        ":tmi.twitch.tv CAP * LS :twitch.tv/tags twitch.tv/commands twitch.tv/membership message-tags server-time"
    ]
    assert told(session, "CAP REQ :twitch.tv/tags server-time") == (
        [CapsChanged()], [":tmi.twitch.tv CAP * ACK :twitch.tv/tags server-time"],
    )  # fmt: skip
    assert session.caps == Caps.TAGS | Caps.TIME
    assert told(session, "CAP REQ :twitch.tv/tags") == ([], [":tmi.twitch.tv CAP * ACK :twitch.tv/tags"])
    assert told(session, "CAP REQ :twitch.tv/commands sasl") == (
        [], [":tmi.twitch.tv CAP * NAK :twitch.tv/commands sasl"],
    )  # fmt: skip
    assert told(session, "CAP REQ -message-tags twitch.tv/commands")[0] == [CapsChanged()]
    assert session.caps == Caps.COMMANDS | Caps.TIME
    assert told(session, "CAP LIST")[1] == [":tmi.twitch.tv CAP * LIST :twitch.tv/commands server-time"]
    assert told(session, "CAP END") == ([], [])
    assert told(session, "PING :a b") == ([], [":tmi.twitch.tv PONG tmi.twitch.tv :a b"])
    assert told(session, "PING") == ([], ["PONG :tmi.twitch.tv"])
    assert told(session, "CAP FOO")[1] == [":tmi.twitch.tv 410 * :Invalid CAP command"]
    assert not session.is_registered


def test_rooms():
    session = registered()
    assert told(session, "JOIN #Alice,#bob,#alice,noroom,#no!room,") == ([Join("alice"), Join("bob")], [])
    assert told(session, "PART #alice,#bob") == ([Part("alice"), Part("bob")], [])
    session.rooms = 99
    assert told(session, "JOIN #c,#d,#e") == (
        [Join("c"), Bounded("over_rooms")], [":tmi.twitch.tv 405 bob #d :You have joined too many channels"],
    )  # fmt: skip


def test_joins_are_slowed_down():
    session = registered()
    session.rooms = -1000
    count = 0
    for number in range(200):
        events, lines = told(session, f"JOIN #a{number}", now=number / 100)
        count += len(events) and isinstance(events[0], Join)
        assert bool(lines) == isinstance(events[0], Bounded)
    assert 50 <= count < 60


def test_what_is_said():
    session = registered()
    assert told(session, "@client-nonce=n\\s1;reply-parent-msg-id=m PRIVMSG #Alice :hi :)") == (
        [Say("alice", "hi :)", "m", "n 1")], [],
    )  # fmt: skip
    assert told(session, "PRIVMSG #alice :/timeout bob 10")[0] == [Say("alice", "/timeout bob 10", "", "")]
    assert told(session, "PRIVMSG bob :psst")[1] == [":tmi.twitch.tv 401 bob bob :No such channel"]
    assert told(session, "PRIVMSG #a,#b :both")[1] == [":tmi.twitch.tv 401 bob #a,#b :No such channel"]
    assert told(session, "PRIVMSG")[1] == [":tmi.twitch.tv 401 bob * :No such channel"]
    assert told(session, "PRIVMSG #alice")[1] == [":tmi.twitch.tv 412 bob :No text to send"]
    assert told(session, "PRIVMSG #alice :\x01VERSION\x01") == ([], [])
    assert told(session, "TAGMSG #alice") == told(session, "PONG") == ([], [])
    for command in ("WHO", "WHOIS", "LIST", "MODE"):
        assert told(session, f"{command} x")[1] == [f":tmi.twitch.tv 421 bob {command} :Unknown command"]
    long = told(session, f"@client-nonce={'n' * 200} PRIVMSG #a :x")[0][0]
    assert len(long.nonce) == 64


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("\x01ACTION waves\x01", "/me waves"),
        ("\x01ACTION waves", "/me waves"),
        ("\x01ACTION\x01", "/me "),
        ("\x01PING 1\x01", None),
        ("\x01", None),
        (".timeout bob", "/timeout bob"),
        (".me waves", "/me waves"),
        ("...", "..."),
        (".net is fine", ".net is fine"),
        ("/me waves", "/me waves"),
    ],
)
def test_as_somebody_would_have_typed_it(sent, typed):
    assert as_typed(sent) == typed


@given(st.lists(st.binary(max_size=60), max_size=30), st.booleans())
def test_nothing_that_is_sent_raises_and_every_answer_is_a_line(lines, is_in):
    session = registered() if is_in else Session(0.0)
    reader, again = LineReader(), LineReader()
    for data in [*lines, b"PRIVMSG #a :", b"CAP REQ :\xff", b"PRIVMSG :: x", b"PING : ", b"JOIN :#a #b"]:
        for one in reader.receive_data(data + b"\r\n"):
            session.receive(one, 0.0)
        out = session.lines_to_send()
        assert out == b"" or out.endswith(b"\r\n")
        assert all(isinstance(one, Message) for one in again.receive_data(out))


def test_too_much_nonsense_is_the_end():
    session = registered()
    for _ in range(9):
        assert session.receive(Rejected(too_long=False), 0.0) == [Bounded("bad_line")]
    assert not session.over
    session.receive(Rejected(too_long=True), 0.0)
    assert session.over
    assert session.lines_to_send().endswith(b"ERROR :Too many lines that make no sense\r\n")
