"""Moderation at the centre: events of an outbox become records, history and an audit; actions go to an edge."""

from typing import Any

import msgspec
import pytest

from appliance.contracts import subjects
from appliance.contracts.chat import ChatMessage, Emote, Parent
from appliance.contracts.ids import uuid7
from appliance.contracts.moderation import (
    EVERY_ROOM,
    EventKind,
    FollowRecord,
    MemberRecord,
    ModerationAnswer,
    ModerationRequest,
    Restriction,
    Role,
    RoomEvent,
    RoomRecord,
    SubscriberRecord,
)
from appliance.runtime.clock import now_ms
from appliance.runtime.ids import new_id

EDGE = "lyon"


class Scene:
    """alice's channel with an announced stream, two users, and the outbox of an edge."""

    def __init__(
        self, api: Any, channel: dict[str, Any], stream: dict[str, Any], users: list[dict[str, Any]]
    ) -> None:
        self.api = api
        self.owner = channel
        self.channel_id = channel["channel_id"]
        self.stream_id = stream["stream_id"]
        self.bob, self.mona = users
        self.outbox = api.hub.consumer(EDGE)
        self.at_ms = now_ms() - 60_000

    def says(self, user: dict[str, Any], text: str, **fields: Any) -> str:
        self.at_ms += 10
        message = ChatMessage(
            message_id=uuid7(self.at_ms, self.at_ms.to_bytes(10, "big")),
            stream_id=self.stream_id,
            timestamp=self.at_ms,
            user_id=user["user_id"],
            username=user["username"],
            message=text,
            **fields,
        )
        self.outbox.add(subjects.chat(self.channel_id, EDGE), msgspec.json.encode([message]))
        return message.message_id

    def happens(self, event: EventKind, room: str = "", edge_id: str = EDGE, **fields: Any) -> RoomEvent:
        self.at_ms += 10
        room = room or self.channel_id
        made = RoomEvent(
            event=event,
            **{
                "event_id": uuid7(self.at_ms, self.at_ms.to_bytes(10, "big")),
                "room": room,
                "edge_id": edge_id,
                "timestamp": self.at_ms,
                "actor_id": self.mona["user_id"],
                "actor": "mona",
            }
            | fields,
        )
        self.outbox.add(subjects.room_event(room, EDGE), msgspec.json.encode([made]))
        return made

    def against_bob(self, event: EventKind, **fields: Any) -> RoomEvent:
        return self.happens(event, target_id=self.bob["user_id"], target="bob", **fields)

    async def history(self) -> list[dict[str, Any]]:
        await self.outbox.all_acked()
        answer = await self.api.get(f"/v1/streams/{self.stream_id}/chat")
        return list(answer.body["messages"])

    def record(self, key: str, kind: type) -> Any:
        return self.api.hub.bucket.record(key, kind)

    async def recorded(self, key: str, kind: type) -> Any:
        await self.outbox.all_acked()
        await self.api.hub.bucket.changed(key)
        return self.record(key, kind)


@pytest.fixture
async def scene(api: Any) -> Scene:
    channel = await api.channel("alice")
    body = {"title": "t", "user_id": channel["user_id"]}
    stream = await api.post("/v1/streams", body, token=channel["token"])
    users = []
    for name in ("bob", "mona"):
        made = await api.post("/v1/users", {"username": name}, token=api.operator)
        users.append(made.body)
    return Scene(api, channel, stream.body, users)


async def test_events_take_messages_away_and_stay_as_evidence(scene: Scene) -> None:
    first = scene.says(scene.bob, "first")
    scene.says(scene.mona, "second")
    deleted = scene.happens(EventKind.DELETE, message_id=first, target_id=scene.bob["user_id"], reason="rude")
    scene.says(scene.bob, "third")
    assert [one["message"] for one in await scene.history()] == ["second", "third"]
    scene.against_bob(EventKind.BAN, reason="again")
    scene.says(scene.bob, "fourth")
    assert [one["message"] for one in await scene.history()] == ["second", "fourth"]
    scene.happens(EventKind.CLEAR)
    assert await scene.history() == []
    rows = await scene.api.sql("select body, removed_by::text from chat_messages order by message_id")
    assert rows[0] == ("first", deleted.event_id)
    assert len(rows) == 4
    answer = await scene.api.get("/v1/moderation/alice/events?limit=2", token=scene.owner["token"])
    assert [one["event"] for one in answer.body["events"]] == ["clear", "ban"]
    assert answer.body["more"] is True
    before = answer.body["events"][-1]["event_id"]
    path = f"/v1/moderation/alice/events?before={before}&target={scene.bob['user_id']}"
    [only] = (await scene.api.get(path, token=scene.api.operator)).body["events"]
    assert (only["reason"], only["actor"], only["message_id"]) == ("rude", "mona", first)
    refused = await scene.api.get("/v1/moderation/alice/events", token=scene.bob["token"])
    assert (refused.status, refused.body["code"]) == (403, "not_allowed")
    bad = await scene.api.get("/v1/moderation/alice/events?before=1", token=scene.owner["token"])
    assert bad.status == 400


async def test_events_become_records_for_all_edges(scene: Scene) -> None:
    scene.happens(EventKind.MODE, modes={"slow": 30, "subscribers": True})
    scene.happens(EventKind.MODE, modes={"slow": 5})
    scene.happens(EventKind.TERM, text="badword")
    scene.happens(EventKind.ROLE, target_id=scene.mona["user_id"], target="mona", role=Role.MODERATOR)
    ban = scene.against_bob(EventKind.BAN)
    scene.happens(EventKind.TERM, room=EVERY_ROOM, text="everywhere")
    room = await scene.recorded(subjects.room_key(scene.channel_id), RoomRecord)
    assert {name: value for name, (value, _) in room.modes.items()} == {"slow": 5, "subscribers": True}
    assert list(room.terms) == ["word:badword"]
    everywhere = await scene.recorded(subjects.room_key(EVERY_ROOM), RoomRecord)
    assert list(everywhere.terms) == ["word:everywhere"]
    member = await scene.recorded(subjects.member_key(scene.channel_id, scene.bob["user_id"]), MemberRecord)
    assert (member.restriction, member.restriction_by) == (Restriction.BAN, ban.event_id)
    state = (await scene.api.get("/v1/moderation/alice", token=scene.mona["token"])).body
    assert state["modes"] == {"slow": 5, "subscribers": True}
    assert state["terms"] == [{"kind": "word", "text": "badword"}]
    assert {one["username"] for one in state["members"]} == {"bob", "mona"}
    scene.outbox.messages[-1].acked = 0  # delivered again
    scene.outbox.added.set()
    scene.against_bob(EventKind.UNBAN)
    await scene.outbox.all_acked()
    [(count,)] = await scene.api.sql("select count(*) from moderation_events")
    assert count == 7
    await scene.api.service._parts.directory.reconcile()
    member = scene.record(subjects.member_key(scene.channel_id, scene.bob["user_id"]), MemberRecord)
    assert member.restriction is Restriction.NONE
    assert subjects.room_key(EVERY_ROOM) in scene.api.hub.bucket.values


async def test_an_action_tried_at_two_gateways_counts_once(scene: Scene) -> None:
    tail = b"made of it"
    first = scene.happens(EventKind.CLEAR, event_id=uuid7(scene.at_ms + 1, tail))
    said = scene.says(scene.bob, "behind it")
    scene.happens(EventKind.CLEAR, event_id=uuid7(scene.at_ms + 1, tail))
    ban = scene.against_bob(EventKind.BAN, event_id=uuid7(scene.at_ms, b"also of it"))
    unban = scene.against_bob(EventKind.UNBAN)
    scene.against_bob(EventKind.BAN, event_id=uuid7(scene.at_ms + 1, b"also of it"))
    assert [one["message_id"] for one in await scene.history()] == []  # the ban took it
    rows = await scene.api.sql("select removed_by::text from chat_messages where message_id = %s", said)
    assert rows == [(ban.event_id,)]
    stored = await scene.api.sql("select event_id::text from moderation_events order by event_id")
    assert stored == [(one.event_id,) for one in (first, ban, unban)]
    member = await scene.recorded(subjects.member_key(scene.channel_id, scene.bob["user_id"]), MemberRecord)
    assert (member.restriction, member.restriction_by) == (Restriction.NONE, unban.event_id)


async def test_events_that_make_no_sense_are_kept_aside(scene: Scene) -> None:
    subject = subjects.room_event(scene.channel_id, EDGE)
    scene.happens(EventKind.CLEAR, edge_id="oslo")
    scene.happens(EventKind.CLEAR, event_id="1")
    scene.happens(EventKind.DELETE, message_id="1")
    scene.outbox.add(subject, b"[{}]")
    scene.outbox.add(subject, b'[{"type":"event","event":"dance"}]')
    scene.outbox.add(subjects.room_event(scene.channel_id, "oslo"), b"[]")
    scene.outbox.add(subjects.room_event("nowhere", EDGE), msgspec.json.encode([]))
    scene.happens(EventKind.CLEAR, reason="a\x00b")
    said = scene.says(scene.bob, "after")
    assert [one["message_id"] for one in await scene.history()] == [said]
    [(count,)] = await scene.api.sql("select count(*) from dead_letters")
    assert count == 7


async def test_what_a_message_is_more_than_text(scene: Scene) -> None:
    scene.says(
        scene.bob,
        "Kappa @mona",
        emotes=[Emote(name="Kappa", start=0, end=5)],
        mentions=["mona"],
        reply_to=new_id(),
        parent=Parent(user_id="u", username="mona", text="hello"),
    )
    [only] = await scene.history()
    assert only["emotes"] == [{"name": "Kappa", "start": 0, "end": 5}]
    assert (only["mentions"], only["parent"]["text"]) == (["mona"], "hello")


async def test_follows_and_subscriptions_go_down(scene: Scene) -> None:
    bob = scene.bob
    assert (await scene.api.call("PUT", "/v1/users/me/follows/alice", token=bob["token"])).status == 204
    follow = scene.record(subjects.follow_key(scene.channel_id, bob["user_id"]), FollowRecord)
    assert abs(follow.since_ms - now_ms()) < 60_000
    body = {"user_id": bob["user_id"], "channel": "alice", "tier": 2}
    made = (await scene.api.post("/v1/subscriptions", body, token=scene.api.operator)).body
    key = subjects.subscriber_key(scene.channel_id, bob["user_id"])
    assert scene.record(key, SubscriberRecord).tier == 2
    gift = body | {"gifted_by": scene.mona["user_id"]}
    given = (await scene.api.post("/v1/subscriptions", gift, token=scene.api.operator)).body
    assert given["gifted_by"] == scene.mona["user_id"]
    assert (scene.record(key, SubscriberRecord).giver, scene.record(key, SubscriberRecord).tier) == ("mona", 2)
    himself = body | {"gifted_by": bob["user_id"]}
    refused = await scene.api.post("/v1/subscriptions", himself, token=scene.api.operator)
    assert (refused.status, refused.body["code"]) == (400, "invalid_gift")
    for one in (given, made):
        path = f"/v1/subscriptions/{one['subscription_id']}"
        assert (await scene.api.call("DELETE", path, token=scene.api.operator)).status == 204
    assert scene.record(key, SubscriberRecord).until_ms <= now_ms()
    assert (await scene.api.call("DELETE", "/v1/users/me/follows/alice", token=bob["token"])).status == 204
    await scene.api.service._parts.directory.reconcile()
    assert subjects.follow_key(scene.channel_id, bob["user_id"]) not in scene.api.hub.bucket.values


async def test_an_action_is_the_edges(scene: Scene) -> None:
    hub, subject = scene.api.hub, subjects.chat_moderate(EDGE)
    done = ModerationAnswer(event_id=new_id(), timestamp=5)
    hub.answers[subject] = msgspec.json.encode(done)
    body = {"action": "ban", "target": "bob", "reason": "rude"}
    answer = await scene.api.post("/v1/moderation/alice/actions", body, token=scene.mona["token"])
    assert (answer.status, answer.body) == (201, {"event_id": done.event_id, "timestamp": 5})
    asked = msgspec.json.decode(hub.asked[-1][1], type=ModerationRequest)
    assert (asked.actor, asked.operator, asked.channel_id) == ("mona", False, scene.channel_id)
    keyed = {"Idempotency-Key": "k1"}
    await scene.api.post("/v1/moderation/alice/actions", body, token=scene.mona["token"], headers=keyed)
    again = await scene.api.post("/v1/moderation/alice/actions", body, token=scene.mona["token"], headers=keyed)
    assert again.body == answer.body
    asked_for = [msgspec.json.decode(data, type=ModerationRequest).nonce for _, data in hub.asked]
    assert asked_for == ["", "k1"]
    everywhere = {"action": "block", "text": "badword"}
    assert (await scene.api.post("/v1/moderation/actions", everywhere, token=scene.mona["token"])).status == 403
    assert (await scene.api.post("/v1/moderation/actions", everywhere, token=scene.api.operator)).status == 201
    asked = msgspec.json.decode(hub.asked[-1][1], type=ModerationRequest)
    assert (asked.operator, asked.channel_id) == (True, EVERY_ROOM)
    hub.answers[subject] = msgspec.json.encode(ModerationAnswer(code="not_allowed", detail="no", status=403))
    answer = await scene.api.post("/v1/moderation/alice/actions", body, token=scene.bob["token"])
    assert (answer.status, answer.body["code"]) == (403, "not_allowed")
    hub.answers[subject] = b"?"
    assert (await scene.api.post("/v1/moderation/alice/actions", body, token=scene.bob["token"])).status == 503
    assert (await scene.api.post("/v1/moderation/nobody/actions", body, token=scene.bob["token"])).status == 404
    assert (await scene.api.post("/v1/moderation/alice/actions", {"x": 1}, token=scene.bob["token"])).status == 400
