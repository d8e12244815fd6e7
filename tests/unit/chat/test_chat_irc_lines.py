"""What happens in a room as lines of IRC, and who in a room gets them."""

import msgspec
import pytest
from chat_fakes import FakeTimer
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.chat import ChatMessage, Emote, ErrorCode, Parent
from appliance.contracts.errors import BadInputError, ForbiddenError, UnavailableError
from appliance.contracts.ids import uuid7
from appliance.contracts.moderation import EventKind, Modes, RoomEvent, SubscriberRecord
from appliance.runtime.fanout import EachFanOut
from edge.chat.commands import COMMANDS
from edge.chat.dialect import Batch
from edge.chat.happenings import frame, news_frame
from edge.chat.index import Place
from edge.chat.irc.answers import done, refused
from edge.chat.irc.capabilities import Caps
from edge.chat.irc.dialect import Framing, IrcDialect
from edge.chat.irc.joined import Joined
from edge.chat.irc.lines import Happened, Spot, event_lines, message_line
from edge.chat.irc.roster import names_lines
from edge.chat.irc.tags import badge_tags, emotes_tag, login_of
from edge.chat.metrics import Tally
from edge.chat.positions import Position
from edge.chat.ring import Entry, Ring
from edge.chat.room import Room
from edge.protocols.irc.message import parse
from edge.protocols.irc.reader import LineReader

ALL = Spot("alice", "r1", Caps.TAGS | Caps.COMMANDS | Caps.TIME)
PLAIN = Spot("alice", "r1", Caps.NONE)
AT = 1_700_000_000_123


def message(text="hello", **changes):
    fields = {"message_id": "m1", "stream_id": "", "timestamp": AT, "user_id": "u1", "username": "Bob"}
    return ChatMessage(**(fields | {"message": text} | changes))


def happened(kind, **fields):
    event = RoomEvent(event=kind, event_id="e1", room="r1", edge_id="x", timestamp=AT, **fields)
    return msgspec.json.decode(frame(event, Modes(slow=5)), type=Happened)


def read(line):
    assert line.endswith(b"\r\n")
    return parse(line[:-2])


def test_a_message_for_each_capability():
    found = read(message_line(ALL, message(badges=["moderator", "subscriber/1/8", "bot"])))
    assert (found.command, found.params, found.prefix) == (
        "PRIVMSG", ("#alice", "hello"), "bob!bob@bob.tmi.twitch.tv",
    )  # fmt: skip
    assert found.tags["badges"] == "moderator/1,subscriber/8,bot/1"
    assert (found.tags["badge-info"], found.tags["mod"], found.tags["user-type"]) == ("subscriber/8", "1", "mod")
    assert found.tags["tmi-sent-ts"] == str(AT)
    assert found.tags["time"] == "2023-11-14T22:13:20.123Z"
    assert message_line(PLAIN, message()) == b":bob!bob@bob.tmi.twitch.tv PRIVMSG #alice :hello\r\n"
    only_time = Spot("alice", "r1", Caps.TIME)
    assert list(read(message_line(only_time, message())).tags) == ["time"]


@pytest.mark.parametrize("at", [-(2**63), -1, 0, 2**63 - 1])
def test_any_time_can_be_told(at):
    strange = message(timestamp=at, badges=["subscriber/9/x", "/", ""], emotes=[Emote(name="a", start=9, end=-9)])
    assert read(message_line(ALL, strange)).command == "PRIVMSG"
    event = Happened(event="timeout", timestamp=at, until=1, username="\n")
    assert read(event_lines(ALL, event)).params[1] == "_"


def test_replies_and_actions():
    parent = Parent(user_id="u2", username="Carol", text="what; is = this?")
    emotes = [
        Emote(name="Hi", start=4, end=6),
        Emote(name="Ho", start=7, end=9),
        Emote(name="Hi", start=10, end=12),
    ]
    found = read(message_line(ALL, message("/me Hi Ho Hi", reply_to="m0", parent=parent, emotes=emotes)))
    assert found.params[1] == "\x01ACTION Hi Ho Hi\x01"
    assert found.tags["emotes"] == "Hi:0-1,6-7/Ho:3-4"
    assert found.tags["reply-parent-msg-id"] == "m0"
    assert found.tags["reply-parent-msg-body"] == "what; is = this?"
    assert found.tags["reply-parent-user-login"] == "carol"
    assert found.tags["reply-parent-display-name"] == "Carol"


def test_names_and_badges():
    assert login_of("Bob :!@ x") == "bob_____x"
    assert login_of("") == "_"
    assert dict(badge_tags(["vip", "subscriber/3/1", "odd,one/2"])) == {
        "badge-info": "subscriber/1", "badges": "vip/1,subscriber/3001,odd_one/2", "mod": "0", "subscriber": "1",
        "vip": "1",
    }  # fmt: skip
    assert dict(badge_tags(["subscriber/x/y/z"]))["badges"] == "subscriber/x"
    assert emotes_tag([]) == ""
    lines = names_lines("bob", "alice", [f"user{number}" for number in range(45)] + ["bob"])
    found = [read(line + b"\r\n") for line in lines.split(b"\r\n")[:-1]]
    assert [one.command for one in found] == ["353", "353", "353", "366"]
    assert sum(len(one.params[3].split()) for one in found[:3]) == 46


def test_events():
    found = read(event_lines(ALL, happened(EventKind.TIMEOUT, target_id="u2", target="Carol", until=AT + 90_400)))
    assert (found.command, found.params) == ("CLEARCHAT", ("#alice", "carol"))
    assert (found.tags["ban-duration"], found.tags["target-user-id"]) == ("91", "u2")
    found = read(event_lines(ALL, happened(EventKind.BAN, target_id="u2", target="Carol")))
    assert "ban-duration" not in found.tags
    assert read(event_lines(ALL, happened(EventKind.CLEAR))).params == ("#alice",)
    found = read(event_lines(ALL, happened(EventKind.DELETE, message_id="m1", target_id="u2", target="Carol")))
    assert (found.command, found.params) == ("CLEARMSG", ("#alice", ""))
    assert (found.tags["target-msg-id"], found.tags["login"]) == ("m1", "carol")
    found = read(event_lines(ALL, happened(EventKind.MODE, modes={"slow": 5})))
    assert (found.command, found.tags) == ("ROOMSTATE", {"room-id": "r1", "slow": "5"})
    found = read(event_lines(ALL, happened(EventKind.MODE, modes={"shield": True, "emote_only": False})))
    assert set(found.tags) == {"emote-only", "followers-only", "r9k", "room-id", "slow"}
    assert event_lines(ALL, happened(EventKind.MODE, modes={"hold": True})) == b""
    found = read(event_lines(ALL, happened(EventKind.ANNOUNCE, actor_id="u1", actor="Bob", text="look!")))
    assert (found.command, found.params) == ("USERNOTICE", ("#alice", "look!"))
    assert (found.tags["msg-id"], found.tags["login"]) == ("announcement", "bob")
    found = read(event_lines(ALL, happened(EventKind.RAID, target="alice", origin="carol", count=7)))
    assert (found.tags["msg-id"], found.tags["msg-param-viewerCount"]) == ("raid", "7")
    assert found.tags["system-msg"] == "7 raiders from carol have joined!"
    assert event_lines(ALL, happened(EventKind.RAID, target="carol", count=7)) == b""
    for kind in (EventKind.PIN, EventKind.ROLE, EventKind.UNBAN):
        assert event_lines(ALL, happened(kind, target="x", target_id="y")) == b""
    assert event_lines(PLAIN, happened(EventKind.CLEAR)) == b""


@pytest.mark.parametrize(("months", "msg_id"), [(0, "sub"), (7, "resub")])
def test_subscriptions(months, msg_id):
    since = AT - months * 30 * 86_400_000
    record = SubscriberRecord(
        channel_id="r1", user_id="u2", tier=2, since_ms=since, until_ms=AT * 2, renewed_ms=AT, username="Carol"
    )
    found = read(event_lines(ALL, msgspec.json.decode(news_frame(record), type=Happened)))
    assert (found.tags["msg-id"], found.tags["msg-param-sub-plan"]) == (msg_id, "2000")
    assert found.tags["msg-param-cumulative-months"] == str(months + 1)
    assert found.tags["system-msg"].startswith("Carol subscribed at Tier 2.")


def test_gifts():
    record = SubscriberRecord(
        channel_id="r1", user_id="u2", tier=1, since_ms=AT, until_ms=AT * 2, renewed_ms=AT, username="Carol",
        giver_id="u3", giver="Dave",
    )  # fmt: skip
    found = read(event_lines(ALL, msgspec.json.decode(news_frame(record), type=Happened)))
    assert (found.tags["msg-id"], found.tags["login"], found.tags["user-id"]) == ("subgift", "dave", "u3")
    assert (found.tags["msg-param-recipient-user-name"], found.tags["msg-param-sub-plan"]) == ("carol", "1000")
    assert found.tags["system-msg"] == "Dave gifted a Tier 1 sub to Carol!"


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_refusal_has_words(code):
    found = read(
        refused(ALL, ForbiddenError("why", code=code, retry_after_s=4.2), "/nothing x", Modes(followers=3))
    )
    assert found.command == "NOTICE"
    assert "{" not in found.params[1] + found.tags["msg-id"]


def test_some_refusals():
    def told(error, text="hi", **modes):
        found = read(refused(ALL, error, text, Modes(**modes)))
        return found.tags["msg-id"], found.params[1]

    assert told(ForbiddenError(code=ErrorCode.TIMED_OUT, retry_after_s=4.2)) == (
        "msg_timedout", "You are timed out for 5 more seconds.",
    )  # fmt: skip
    assert told(ForbiddenError(code=ErrorCode.FOLLOWERS_ONLY), followers=0)[0] == "msg_followersonly_zero"
    assert told(BadInputError("/ban user", code=ErrorCode.INVALID_ACTION), "/Ban")[0] == "usage_ban"
    assert told(UnavailableError("away"))[0] == "msg_unavailable"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_answer(name):
    found = read(done(ALL, f"/{name} @carol 5", "done"))
    assert "{" not in found.params[1] + found.tags["msg-id"]
    assert found.tags["msg-id"].endswith(("_success", "_on", "_off"))


def test_help_is_one_notice_a_line():
    assert done(PLAIN, "/help", "a\nb") == (
        b":tmi.twitch.tv NOTICE #alice :a\r\n:tmi.twitch.tv NOTICE #alice :b\r\n"
    )


def test_readers_with_the_same_capabilities_share_their_lines():
    tally = Tally()
    one, same, other = (IrcDialect(spot, Framing.NONE, tally) for spot in (ALL, ALL, PLAIN))
    framed = IrcDialect(ALL, Framing.FRAMES, tally)
    assert (one, hash(one)) == (same, hash(same))
    assert len({one, same, other, framed}) == 3
    batch = Batch([Entry(Position(1, 0), msgspec.json.encode(message()))])
    lines = one.render(batch)
    assert same.render(batch) is lines
    assert framed.render(batch).endswith(lines)
    assert framed.render(batch)[0] == 0x81
    assert other.render(batch) == message_line(PLAIN, message())


@given(
    st.one_of(
        st.binary(max_size=40), st.sampled_from([b'{"event":1}', b"[]", b"null", b'{"message":"x"}', b"[" * 5000])
    )
)
def test_nothing_in_a_log_breaks_a_room(data):
    tally = Tally()
    dialect = IrcDialect(ALL, Framing.NONE, tally)
    for event in (False, True):
        out = dialect.render(Batch([Entry(Position(1, 0), data, event=event)]))
        assert all(LineReader().receive_data(out)) or not out


class FakeClient:
    def __init__(self):
        self.at = 0.0

    def now(self):
        return self.at


class FakeWire:
    """Takes `space` bytes, then it is full."""

    def __init__(self):
        self.fd = -1
        self.framing = Framing.NONE
        self.data = b""
        self.space = 1 << 30
        self.paused = False
        self.joined = None

    def spill(self, data):
        self.write(data)

    def write(self, data):
        self.data += bytes(data)
        self.space -= len(data)
        if self.space < 0 and not self.paused:
            self.paused = True
            self.joined.pause()

    def drain(self, space=1 << 30):
        self.space, self.paused = space, False
        self.joined.paused = False
        self.joined.resume()

    @property
    def heard(self):
        return [one.params[1] for one in LineReader().receive_data(self.data)]


def sit(room, tally):
    wire = FakeWire()
    wire.joined = Joined(FakeClient(), wire, Place("r1", "alice", "u", ""), tally)
    wire.joined.enter(room, Caps.NONE)
    return wire


class Sitting:
    """Three clients in a room, and what each of them should hear."""

    def __init__(self):
        self.timer, tally = FakeTimer(), Tally()
        self.room = Room("r1", Ring(Position(0, 0)), self.timer, tally, EachFanOut())
        self.wires = [sit(self.room, tally) for _ in range(3)]
        self.expected = [[], [], []]
        self.seq = 0

    def say(self, by=None):
        self.seq += 1
        text = str(self.seq)
        message_id = uuid7(self.seq, self.seq.to_bytes(10, "big"))
        if by is not None:  # another gateway may have taken another try of it
            self.wires[by].joined.expect(uuid7(self.seq + 7, self.seq.to_bytes(10, "big")), 0.0)
        for number, texts in enumerate(self.expected):
            if number != by:
                texts.append(text)
        data = msgspec.json.encode(message(text, message_id=message_id))
        self.room.publish(Entry(Position(self.seq, 0), data))

    def step(self, name, who):
        wire = self.wires[who]
        if name in ("own", "other"):
            self.say(who if name == "own" else None)
        elif name in ("turn", "wait"):
            self.timer.run(0.05 if name == "wait" else 0)
        elif name == "full":
            wire.space = 10
        elif name == "caps":
            wire.joined.speak(Caps.COMMANDS if self.seq % 2 else Caps.NONE)
        elif wire.paused:
            wire.drain()

    def settle(self):
        for wire in self.wires:
            wire.space = 1 << 30
            if wire.paused:
                wire.drain()
        self.timer.run(1)


_STEPS = st.sampled_from(["own", "other", "turn", "wait", "full", "drain", "caps"])


@given(st.lists(st.tuples(_STEPS, st.integers(0, 2)), max_size=40))
def test_nobody_hears_itself_and_everybody_all_others(steps):
    sitting = Sitting()
    for name, who in steps:
        sitting.step(name, who)
    sitting.settle()
    assert [wire.heard for wire in sitting.wires] == sitting.expected
    sitting.say()
    sitting.timer.run(1)
    assert all(wire.joined.level for wire in sitting.wires)
    for wire in sitting.wires:
        wire.joined.leave()
    assert sitting.room.readers == 0
    assert not sitting.room._ahead


def test_a_message_of_its_own_that_never_comes_is_not_waited_for_for_ever():
    timer, tally = FakeTimer(), Tally()
    room = Room("r1", Ring(Position(0, 0)), timer, tally, EachFanOut())
    wire = sit(room, tally)
    wire.joined.expect("gone", 0.0)
    room.publish(Entry(Position(1, 0), msgspec.json.encode(message("1"))))
    timer.run(1)
    assert not wire.joined.level
    wire.joined.client.at = 31.0
    room.publish(Entry(Position(2, 0), msgspec.json.encode(message("2"))))
    timer.run(1)
    assert wire.joined.level
    assert wire.heard == ["1", "2"]
