"""Modes, restrictions and actions of moderators over a log in memory, and the state that comes of events."""

import asyncio

import msgspec
import pytest
from chat_fakes import ROOMS, Desk, staffed
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.errors import BadInputError, ForbiddenError, NearcastError, NotFoundError, RateLimitedError
from appliance.contracts.moderation import (
    EventKind,
    FollowRecord,
    ModerationRequest,
    Modes,
    Restriction,
    SubscriberRecord,
)
from appliance.contracts.subjects import follow_key, subscriber_key
from appliance.runtime.clock import now_ms
from edge.chat.commands import COMMANDS, duration, help_text, is_command, parse
from edge.chat.happenings import news_frame
from edge.chat.moderator import ACTIONS
from edge.chat.ranks import Rank

ROOM = ROOMS[0]


# -- restrictions


async def test_a_ban_holds_until_it_is_ended_and_takes_the_users_words_away():
    desk = await staffed()
    await desk.said("bob", "first")
    await desk.said("carol", "second")
    event = await desk.acts("mona", "ban", target="bob", reason="rude")
    assert (event.actor, event.reason, event.target_id) == ("mona", "rude", "u-bob")
    assert await desk.refused("bob", "hello") == "banned"
    assert desk.shown() == ["role", "role", "second", "ban"]
    shown = desk.last()
    assert shown["username"] == "bob"
    assert "reason" not in shown
    assert "actor" not in shown
    await desk.acts("mona", "unban", target="@BOB")
    await desk.said("bob", "back")
    assert desk.tally.refused == {"banned": 1}
    assert desk.tally.actions["ban"] == 1


async def test_a_timeout_ends_by_itself_and_tells_how_long():
    desk = await staffed()
    await desk.acts("mona", "timeout", target="bob", seconds=600)
    with pytest.raises(ForbiddenError) as refused:
        await desk.said("bob", "x")
    assert refused.value.code == "timed_out"
    assert 590 < refused.value.retry_after_s <= 600
    assert desk.states.standing(ROOM, "u-bob", now_ms() + 601_000).restriction is Restriction.NONE
    await desk.acts("mona", "untimeout", target="bob")
    await desk.said("bob", "x")
    for seconds in (-1, 0, 15 * 86_400):
        with pytest.raises(BadInputError):
            await desk.acts("mona", "timeout", target="bob", seconds=seconds)


async def test_a_mute_is_told_to_moderators_only():
    desk = await staffed()
    await desk.acts("mona", "mute", target="bob")
    assert await desk.refused("bob", "x") == "muted"
    assert "mute" not in desk.shown()
    assert desk.happened[-1].event is EventKind.MUTE


async def test_nobody_acts_on_who_stands_as_high():
    desk = await staffed()
    await desk.acts("alice", "mod", target="dave")
    for actor, action, target in [
        ("bob", "ban", "carol"), ("vince", "timeout", "bob"), ("mona", "ban", "alice"), ("mona", "ban", "dave"),
        ("mona", "ban", "mona"), ("mona", "mod", "bob"), ("mona", "unmod", "dave"), ("alice", "ban", "alice"),
        ("mona", "raid", "carol"),
    ]:  # fmt: skip
        with pytest.raises(ForbiddenError) as refused:
            await desk.acts(actor, action, target=target)
        assert refused.value.code == "not_allowed"
    with pytest.raises(NotFoundError) as unknown:
        await desk.acts("mona", "ban", target="nobody")
    assert unknown.value.code == "unknown_user"
    await desk.acts("alice", "unmod", target="mona")
    with pytest.raises(ForbiddenError):
        await desk.acts("mona", "ban", target="bob")


# -- modes


async def test_slow_mode_holds_viewers_back_but_not_vips_and_moderators():
    desk = await staffed()
    await desk.acts("mona", "slow", value=30)
    assert desk.last()["modes"] == {"slow": 30}
    await desk.said("bob", "one")
    with pytest.raises(RateLimitedError) as refused:
        await desk.said("bob", "two")
    assert refused.value.code == "slow_mode"
    assert 29 < refused.value.retry_after_s <= 30
    for name in ("carol", "vince", "vince", "mona", "mona", "alice", "alice"):
        await desk.said(name, f"hello {name}")
    await desk.acts("mona", "slow", value=False)
    await desk.said("bob", "two")
    assert desk.last()["message"] == "two"


async def test_what_another_gateway_took_counts_for_slow_mode():
    desk, other = await staffed(), await staffed()
    await desk.acts("mona", "slow", value=30)
    other.log = desk.log
    other.catch_up()
    await desk.said("bob", "one")
    other.catch_up()
    assert await other.refused("bob", "two") == "slow_mode"


async def test_subscribers_and_followers_only():
    desk, now = await staffed(), now_ms()
    desk.put(follow_key(ROOM, "u-bob"), FollowRecord(channel_id=ROOM, user_id="u-bob", since_ms=now - 300_000))
    desk.put(
        subscriber_key(ROOM, "u-carol"),
        SubscriberRecord(
            channel_id=ROOM, user_id="u-carol", tier=2, since_ms=now - 70 * 86_400_000, until_ms=now + 60_000
        ),
    )
    await desk.acts("mona", "followers", value=10)
    assert await desk.refused("dave", "x") == "followers_only"
    with pytest.raises(ForbiddenError) as young:
        await desk.said("bob", "x")
    assert young.value.code == "followers_only"
    assert 290 < young.value.retry_after_s <= 300
    await desk.acts("mona", "followers", value=5)
    await desk.said("bob", "x")
    await desk.said("carol", "x")
    assert desk.last()["badges"] == ["subscriber/2/3"]
    await desk.acts("mona", "subscribers", value=True)
    assert await desk.refused("bob", "y") == "subscribers_only"
    await desk.said("carol", "y")
    await desk.said("vince", "y")
    assert desk.last()["badges"] == ["vip"]
    assert desk.states.standing(ROOM, "u-carol", now + 60_001).tier == 0


async def test_emote_only_and_unique():
    desk = await staffed()
    await desk.acts("mona", "emote", text="Kappa")
    await desk.acts("mona", "emoteonly", value=True)
    assert await desk.refused("bob", "Kappa hi") == "emote_only"
    assert await desk.refused("vince", "hi") == "emote_only"
    await desk.said("bob", "Kappa 👍🏽 ❤️ Kappa")
    assert [(one["name"], one["start"], one["end"]) for one in desk.last()["emotes"]] == [
        ("Kappa", 0, 5), ("Kappa", 12, 17),
    ]  # fmt: skip
    await desk.said("mona", "words")
    await desk.acts("mona", "emoteonly", value=False)
    await desk.acts("mona", "uniquechat", value=60)
    await desk.said("bob", "Hello there!")
    assert await desk.refused("carol", "hello THERE") == "not_unique"
    await desk.said("mona", "hello there")


async def test_the_shield_makes_everything_stricter_and_gives_it_back():
    desk = await staffed()
    await desk.acts("mona", "slow", value=5)
    await desk.acts("mona", "shield", value=True)
    assert desk.states.modes(ROOM).slow == 10
    assert await desk.refused("bob", "x") == "followers_only"
    await desk.acts("mona", "shield", value=False)
    assert desk.states.modes(ROOM) == Modes(slow=5)
    await desk.said("bob", "x")


# -- messages


async def test_a_deleted_and_a_cleared_message_are_gone():
    desk = await staffed()
    said = [await desk.said(name, f"from {name}") for name in ("bob", "carol")]
    await desk.acts("mona", "delete", message_id=said[0].message_id)
    assert desk.shown()[2:] == ["from carol", "delete"]
    assert desk.last()["message_id"] == said[0].message_id
    await desk.acts("mona", "clear")
    assert desk.shown()[2:] == ["delete", "clear"]
    ring = desk.rooms.get(ROOM).ring
    assert ring.end == 6
    fresh = Desk()
    fresh.log = desk.log
    fresh.catch_up()
    assert fresh.shown()[2:] == ["delete", "clear"]


async def test_a_message_is_pinned_with_its_words_and_raids_are_told_on_both_sides():
    desk = await staffed()
    said = await desk.said("bob", "read me")
    await desk.acts("mona", "pin", message_id=said.message_id)
    assert desk.last()["message"]["message"] == "read me"
    assert desk.states.record(ROOM).pin.message == "read me"
    await desk.acts("mona", "unpin")
    assert desk.states.record(ROOM).pin is None
    await desk.acts("alice", "raid", target="carol")
    assert (desk.last()["target"], desk.last()["viewers"]) == ("carol", 7)
    assert (desk.last(ROOMS[2])["from"], desk.last(ROOMS[2])["viewers"]) == ("alice", 7)
    for target in ("nowhere", "alice"):
        with pytest.raises(NotFoundError):
            await desk.acts("alice", "raid", target=target)
    with pytest.raises(NotFoundError):
        await desk.acts("mona", "pin", message_id=ROOMS[9])
    await desk.acts("mona", "announce", text="five minutes")
    assert (desk.last()["text"], desk.last()["username"]) == ("five minutes", "mona")


async def test_replies_and_mentions():
    desk = await staffed()
    said = await desk.said("bob", "word " * 40)
    await desk.said("carol", "@bob yes, ask @Alice and @bob", said.message_id)
    answer = desk.last()
    assert answer["parent"]["username"] == "bob"
    assert len(answer["parent"]["text"]) <= 80
    assert answer["mentions"] == ["bob", "Alice"]
    await desk.said("mona", "x", ROOMS[9])
    assert "parent" not in desk.last()
    assert desk.last()["badges"] == ["moderator"]


# -- words


async def test_blocked_words_are_refused_or_wait():
    desk = await staffed()
    await desk.acts("mona", "block", text="badword")
    await desk.acts("mona", "pattern", text=r"free\s+(gold|coins)")
    for text in ("a B.A.D.W.O.R.D here", "FREE   gold now"):
        assert await desk.refused("bob", text) == "blocked_term"
    await desk.said("mona", "badword")
    await desk.acts("mona", "hold", value=True)
    held = await desk.said("bob", "a badword")
    assert held.held
    denied = await desk.said("carol", "b4dw0rd")
    assert "a badword" not in desk.shown()
    assert desk.happened[-1].message.message == "b4dw0rd"
    assert desk.happened[-1].reason == "blocked_term"
    await desk.acts("mona", "approve", message_id=held.message_id)
    await desk.acts("mona", "deny", message_id=denied.message_id)
    assert desk.shown()[-1] == "a badword"
    assert not desk.states.of(ROOM).held
    with pytest.raises(NotFoundError):
        await desk.acts("mona", "approve", message_id=held.message_id)
    await desk.acts("mona", "unblock", text="badword")
    await desk.acts("mona", "unpattern", text=r"free\s+(gold|coins)")
    await desk.said("carol", "badword free gold")
    assert desk.tally.held == {"blocked_term": 2}


async def test_words_blocked_in_every_room():
    desk = await staffed()
    event = await desk.acts("mona", "block", text="everywhere")
    desk.log.add(
        "fed.edge1.ev.room.00000000-0000-0000-0000-000000000000",
        msgspec.structs.replace(event, room="00000000-0000-0000-0000-000000000000", text="nowhere"),
    )
    desk.catch_up()
    assert await desk.refused("bob", "nowhere") == "blocked_term"
    assert await desk.refused("bob", "everywhere") == "blocked_term"


async def test_links_and_spam():
    desk = await staffed()
    await desk.acts("mona", "links", value="moderators")
    await desk.acts("mona", "permit", text="good.example.com")
    assert await desk.refused("bob", "see https://evil.com/x") == "links_not_allowed"
    await desk.said("bob", "see https://www.good.example.com/x")
    await desk.said("vince", "see evil.com")
    await desk.acts("mona", "links", value="block")
    assert await desk.refused("vince", "see evil.com") == "links_not_allowed"
    for number in range(3):
        await desk.said("carol", f"buy my things now {number}")
    assert await desk.refused("carol", "buy my things now!") == "spam"
    await desk.said("carol", "sorry, something else altogether")


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("dance", {}), ("", {}), ("x" * 1000, {}), ("slow", {"value": "fast"}), ("slow", {"value": -2}),
        ("slow", {"value": 10**9}), ("subscribers", {"value": 3}), ("links", {"value": "some"}),
        ("delete", {"message_id": "1"}), ("block", {"text": ""}), ("block", {"text": "..."}),
        ("block", {"text": "x" * 101}), ("pattern", {"text": "("}), ("pattern", {"text": "a*"}),
        ("pattern", {"text": "(?=x)"}), ("emote", {"text": "no way"}), ("announce", {"text": " "}),
        ("ban", {"target": "bob", "reason": "x" * 301}), ("permit", {"text": "a\x00b"}),
    ],
)  # fmt: skip
async def test_actions_that_make_no_sense(action, fields):
    desk = await staffed()
    with pytest.raises(BadInputError):
        await desk.acts("mona", action, **fields)
    assert sum(desk.tally.refused.values()) == 1


# -- commands


async def test_commands_do_what_the_calls_do():
    desk = await staffed()
    for text in ("/slow 30", "/timeout bob 10m being loud", "/ban carol", "/clear"):
        assert (await desk.said("mona", text)).notice == "done"
    assert desk.states.modes(ROOM).slow == 30
    assert desk.states.standing(ROOM, "u-carol", now_ms()).restriction is Restriction.BAN
    assert desk.happened[-3].reason == "being loud"
    assert desk.shown()[2:] == ["mode", "timeout", "ban", "clear"]
    assert await desk.refused("dave", "/ban bob") == "not_allowed"
    assert await desk.refused("mona", "/dance") == "unknown_command"
    assert await desk.refused("mona", "/timeout") == "invalid_action"
    assert "/ban user [reason]" in (await desk.said("mona", "/help")).notice
    assert "/mod " not in (await desk.said("mona", "/help")).notice
    assert (await desk.said("alice", "/help mod")).notice.startswith("/mod user")
    await asyncio.sleep(0.002)  # what is said in the millisecond of a clear goes with it
    await desk.said("dave", "/me waves")
    assert desk.last()["message"] == "/me waves"


def test_every_command_is_an_action_and_explains_itself():
    assert {one.action for one in COMMANDS.values()} <= ACTIONS
    assert len(help_text("/help", Rank.OWNER).splitlines()) == len(COMMANDS)
    assert help_text("/help", Rank.VIEWER).startswith("/me")
    assert [duration(word) for word in ("90", "2m", "1h", "1d", "1w", "x", "-1", "", "m")] == [
        90, 120, 3600, 86_400, 604_800, None, None, None, None,
    ]  # fmt: skip
    assert parse("/timeout bob go away") == ModerationRequest(action="timeout", target="bob", reason="go away")
    assert parse("/followers 2h").value == 120
    assert parse("/slowoff").value is False
    with pytest.raises(BadInputError):
        parse("/slow down")
    with pytest.raises(BadInputError, match=r"/me text"):
        parse("/me")


@given(st.text(max_size=60))
def test_any_command_is_read_or_refused(text):
    for one in (f"/{text}", f"/timeout {text}", f"/slow {text}", f"/followers {text}"):
        if is_command(one):
            try:
                assert parse(one).action in ACTIONS
            except NearcastError as error:
                assert error.code in ("unknown_command", "invalid_action")


async def test_who_follows_and_subscribes_is_news_once():
    desk, now = await staffed(), now_ms()
    desk.changed.clear()
    follow = FollowRecord(channel_id=ROOM, user_id="u-bob", username="bob", since_ms=now)
    desk.put(follow_key(ROOM, "u-bob"), follow)
    desk.put(follow_key(ROOM, "u-bob"), follow)
    subscribed = SubscriberRecord(
        channel_id=ROOM, user_id="u-bob", username="bob", tier=1, since_ms=now, until_ms=now + 9, renewed_ms=now
    )
    renewed = msgspec.structs.replace(subscribed, tier=2, renewed_ms=now + 61 * 86_400_000)
    ended = msgspec.structs.replace(renewed, until_ms=now)
    given = msgspec.structs.replace(renewed, renewed_ms=now + 70 * 86_400_000, giver_id="u-eve", giver="eve")
    for record in (subscribed, subscribed, renewed, ended, given):
        desk.put(subscriber_key(ROOM, "u-bob"), record)
    assert desk.changed == [follow, subscribed, renewed, given]
    told = [msgspec.json.decode(news_frame(record)) for record in desk.changed]
    assert [one["event"] for one in told] == ["follow", "subscription", "subscription", "gift"]
    assert (told[2]["username"], told[2]["tier"], told[2]["months"]) == ("bob", 2, 3)
    assert (told[3]["username"], told[3]["giver"], told[3]["giver_id"]) == ("bob", "eve", "u-eve")


async def test_the_queue_of_held_messages_is_bounded():
    desk = await staffed()
    event = await desk.acts("mona", "clear")
    for number in range(250):
        desk.states.apply(
            msgspec.structs.replace(
                event, event=EventKind.HELD, message_id=f"m{number}", timestamp=event.timestamp + 1 + number
            )
        )
    assert len(desk.states.of(ROOM).held) == 200
    assert desk.tally.events["held_forgotten"] == 50


async def test_a_ban_ends_by_an_unban_alone():
    desk = await staffed()
    await desk.acts("mona", "ban", target="bob")
    for action in ("untimeout", "timeout", "mute", "unmute"):
        assert await desk.refused("mona", f"/{action} bob") == "is_banned"
        assert await desk.refused("bob", "let me in") == "banned"
    await desk.acts("mona", "ban", target="bob")  # another moderator was as quick
    await desk.acts("mona", "unban", target="Bob")
    await desk.said("bob", "thanks")
    await desk.acts("mona", "timeout", target="@BOB", seconds=60)
    assert await desk.refused("mona", "/unmute bob") == "invalid_action"
    assert await desk.refused("bob", "hm") == "timed_out"
    await desk.acts("mona", "unban", target="bob")
    await desk.acts("mona", "mute", target="bob")
    assert await desk.refused("mona", "/untimeout bob") == "invalid_action"
    assert await desk.refused("bob", "hm") == "muted"


async def test_nobody_pushes_the_messages_of_others_out_of_the_queue():
    desk = await staffed()
    await desk.acts("mona", "block", text="badword")
    await desk.acts("mona", "hold", value=True)
    assert (await desk.said("dave", "a badword, once")).held
    for number in range(10):
        assert (await desk.said("bob", f"badword {number} {'x' * number * 9}")).held
    assert await desk.refused("bob", "badword and more") == "blocked_term"
    held = desk.states.of(ROOM).held
    assert [one.target for one in held.values()] == ["dave", *["bob"] * 10]


@pytest.mark.parametrize("action", ["ban", "timeout", "clear", "delete"])
async def test_what_is_taken_away_waits_for_nobody_and_is_not_pinned(action):
    desk = await staffed()
    await desk.acts("mona", "block", text="badword")
    await desk.acts("mona", "hold", value=True)
    pinned = await desk.said("bob", "hello")
    await desk.acts("mona", "pin", message_id=pinned.message_id)
    waiting = await desk.said("bob", "a badword")
    assert desk.states.pin(ROOM).message == "hello"
    await asyncio.sleep(0.002)
    for message_id in (pinned.message_id, waiting.message_id):
        await desk.acts("mona", action, target="bob" if action in ("ban", "timeout") else "", message_id=message_id)
    assert await desk.refused("mona", f"/approve {waiting.message_id}") == "unknown_message"
    assert (desk.states.pin(ROOM) is None) == (action != "clear")
    assert desk.states.pin("nowhere") is None


async def test_a_raid_names_its_channel_as_people_write_it():
    desk = await staffed()
    event = await desk.acts("alice", "raid", target="#Bob")
    assert event.target == "bob"
    assert desk.index.by_name("ALICE") == desk.place


@pytest.mark.parametrize("action", ["ban", "clear", "delete"])
async def test_what_was_taken_away_is_not_quoted_either(action):
    desk, later = await staffed(), Desk()
    rude = await desk.said("bob", "rude words")
    await desk.said("vince", "no!", reply_to=rude.message_id)
    await asyncio.sleep(0.002)
    fine = await desk.said("vince", "fine words")
    if action != "clear":
        await desk.said("dave", "yes!", reply_to=fine.message_id)
    await desk.acts("mona", action, target="bob" if action == "ban" else "", message_id=rude.message_id)
    for entry in desk.log.stored:
        later.rooms.deliver(entry)
    if action == "clear":
        assert desk.shown()[2:] == later.shown()[2:] == ["clear"]
        return
    read = [entry.data for one in desk.log.stored for entry in desk.rooms.journal.read(one) if not entry.event]
    for gateway in (desk, later):
        ring = gateway.rooms.get(ROOM).ring
        messages = [one.data for one in ring.entries(ring.first, ring.end) if not one.event]
        assert messages == read
        found = [msgspec.json.decode(one) for one in messages]
        assert [one["message"] for one in found] == ["no!", "fine words", "yes!"]
        assert ["parent" in one for one in found] == [False, False, True]
        assert found[0]["reply_to"] == rude.message_id
        assert ring.bytes == sum(len(one.data) for one in ring.entries(ring.first, ring.end))
