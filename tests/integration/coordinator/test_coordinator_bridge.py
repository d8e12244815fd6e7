"""The outbox bridge against a real database and a consumer that delivers until it is acknowledged."""

from typing import Any

import msgspec
import pytest

from appliance.contracts import subjects
from appliance.contracts.chat import ChatMessage, Emote
from appliance.contracts.directory import ChannelRecord, KeyRecord, StreamRecord, secret_hash
from appliance.contracts.errors import UnavailableError
from appliance.contracts.events import BroadcastEvent, BroadcastEventKind, PublisherReport
from appliance.contracts.health import Advice, HealthReport, Severity, VideoHealth
from appliance.contracts.ids import uuid7
from appliance.contracts.nonces import numbered
from appliance.contracts.session import SessionEvent, SessionRecord
from appliance.runtime.ids import new_id
from coordinator.bridge import OutboxBridge, service
from coordinator.chat_history.postgresql import PostgresChatStore
from coordinator.db import Database

EDGE = "lyon"
T0 = 1_700_000_000_000


def message_id_at(at_ms: int) -> str:
    """The same each time; of different moments nothing is the same."""
    return uuid7(at_ms, at_ms.to_bytes(10, "big"))


def chat_message(stream_id: str, at_ms: int, text: str = "hello", **fields: Any) -> ChatMessage:
    values = {
        "message_id": message_id_at(at_ms),
        "stream_id": stream_id,
        "timestamp": at_ms,
        "user_id": new_id(),
        "username": "bob",
        "message": text,
        "badges": ["vip"],
    }
    return ChatMessage(**(values | fields))


class Scene:
    """An announced stream of a channel, and the outbox of its edge."""

    def __init__(self, api: Any, channel: dict[str, Any], stream: dict[str, Any]) -> None:
        self.api = api
        self.channel_id = channel["channel_id"]
        self.owner = channel
        self.stream = stream
        self.stream_id = stream["stream_id"]
        self.outbox = api.hub.consumer(EDGE)

    def chat(self, *messages: ChatMessage) -> Any:
        return self.outbox.add(subjects.chat(self.channel_id, EDGE), msgspec.json.encode(list(messages)))

    def event(self, kind: BroadcastEventKind, at_ms: int = T0, **fields: Any) -> Any:
        values = {
            "event_id": new_id(),
            "kind": kind,
            "broadcast_id": self.stream_id,
            "channel_id": self.channel_id,
            "edge_id": EDGE,
            "at_ms": at_ms,
        }
        event = BroadcastEvent(**(values | fields))
        return self.outbox.add(subjects.event(EDGE, "broadcast"), msgspec.json.encode(event))

    def report(self, at_ms: int = T0, edge_id: str = EDGE, **session: Any) -> PublisherReport:
        record = SessionRecord(
            session_id=new_id(),
            channel_id=self.channel_id,
            channel=self.owner["channel"],
            broadcast_id=self.stream_id,
            slot="primary",
            kind="rtmp",
            address="",
            encoder="OBS",
            since_ms=at_ms - 1000,
            at_ms=at_ms,
            ended_at_ms=at_ms,
            events=[SessionEvent(at_ms=at_ms, code="ended", text="the encoder stopped")],
        )
        report = PublisherReport(
            event_id=new_id(),
            edge_id=edge_id,
            session=msgspec.structs.replace(record, **session),
            health=HealthReport(at_ms=at_ms, since_ms=at_ms - 900, video=VideoHealth(width=1280, height=720)),
            advice=[
                Advice(code="gop_long", severity=Severity.WARNING, text="Set it.", setting="Keyframe interval: 2 s")
            ],
        )
        self.outbox.add(subjects.event(EDGE, "publisher"), msgspec.json.encode(report))
        return report

    async def publishers(self, token: str) -> Any:
        return await self.api.get(f"/v1/streams/{self.stream_id}/publishers", token=token)

    async def status(self, stream_id: str = "") -> tuple[Any, ...]:
        [row] = await self.api.sql(
            "select status, edge_id, started_at is not null, ended_at is not null"
            " from broadcasts where stream_id = %s",
            stream_id or self.stream_id,
        )
        return row

    async def dead(self) -> list[str]:
        rows = await self.api.sql("select reason from dead_letters order by dead_letter_id")
        return [row[0].partition(":")[0] for row in rows]


@pytest.fixture
async def scene(api):
    channel = await api.channel("ada")
    body = {"title": "Hello", "user_id": channel["user_id"]}
    stream = (await api.post("/streams", body, token=channel["token"])).body
    return Scene(api, channel, stream)


async def test_chat_is_stored_once_however_often_it_comes(scene, monkeypatch):
    monkeypatch.setattr(service, "_ROWS", 2)  # so that a batch is stored in parts
    messages = [chat_message(scene.stream_id, T0 + n, f"m{n}") for n in range(5)]
    scene.chat(*messages[:3])
    await scene.outbox.all_acked()
    scene.chat(*messages[:3])
    scene.chat(*messages[2:])
    await scene.outbox.all_acked()
    history = (await scene.api.get(f"/streams/{scene.stream_id}/chat")).body
    assert [message["message"] for message in history["messages"]] == ["m0", "m1", "m2", "m3", "m4"]
    first = msgspec.convert(history["messages"][0], ChatMessage)
    assert first == messages[0]
    assert await scene.dead() == []


async def test_the_history_of_a_room_has_what_was_said_off_the_air(scene):
    scene.chat(chat_message("", T0, "early"), chat_message(scene.stream_id, T0 + 1, "live"))
    await scene.outbox.all_acked()
    body = (await scene.api.get("/v1/channels/ada/chat?limit=2")).body
    assert [(one["message"], one["stream_id"]) for one in body["messages"]] == [
        ("early", ""),
        ("live", scene.stream_id),
    ]
    assert (body["channel"], body["more"]) == ("ada", False)
    body = (await scene.api.get(f"/v1/channels/ada/chat?after={T0}")).body
    assert [one["message"] for one in body["messages"]] == ["live"]
    assert (await scene.api.get("/v1/channels/nobody/chat")).status == 404
    refused = await scene.api.get("/v1/channels/ada/chat?limit=0")
    assert (refused.status, refused.body["code"]) == (400, "invalid_limit")


async def test_history_pages(scene):
    scene.chat(*[chat_message(scene.stream_id, T0 + n, f"m{n}") for n in range(10)])
    await scene.outbox.all_acked()

    async def page(query: str) -> tuple[list[str], bool]:
        body = (await scene.api.get(f"/v1/streams/{scene.stream_id}/chat?{query}")).body
        return [message["message"] for message in body["messages"]], body["more"]

    assert await page("limit=3") == (["m7", "m8", "m9"], True)
    assert await page(f"limit=3&before={T0 + 7}") == (["m4", "m5", "m6"], True)
    assert await page(f"limit=3&after={T0 + 7}") == (["m8", "m9"], False)
    assert await page(f"after={T0}&before={T0 + 4}") == (["m1", "m2", "m3"], False)
    middle = message_id_at(T0 + 5)
    assert await page(f"limit=1&after={middle}") == (["m6"], True)
    refused = await scene.api.get(f"/streams/{scene.stream_id}/chat?after=yesterday")
    assert (refused.status, refused.body["code"]) == (400, "invalid_position")
    assert (await scene.api.get(f"/streams/{scene.stream_id}/chat?limit=501")).status == 400
    assert (await scene.api.get(f"/streams/{new_id()}/chat")).status == 404


async def test_a_second_try_at_another_gateway_is_stored_once(scene):
    tries = [numbered(T0 + n, "u", scene.channel_id, "nonce", "hello") for n in (0, 40, 80)]
    scene.chat(chat_message(scene.stream_id, T0, message_id=tries[0]))
    scene.chat(chat_message(scene.stream_id, T0 + 40, message_id=tries[1]), chat_message(scene.stream_id, T0 + 50))
    scene.chat(chat_message(scene.stream_id, T0 + 80, message_id=tries[2]))
    await scene.outbox.all_acked()
    scene.chat(chat_message(scene.stream_id, T0, message_id=tries[0]))
    await scene.outbox.all_acked()
    rows = await scene.api.sql("select message_id::text from chat_messages order by sent_at")
    assert rows == [(tries[0],), (message_id_at(T0 + 50),)]


async def test_message_of_an_offline_room_is_kept(scene):
    scene.chat(chat_message("", T0, reply_to=new_id(), emotes=[Emote(name="wave", start=0, end=4)]))
    await scene.outbox.all_acked()
    [row] = await scene.api.sql("select stream_id, channel_id::text, emotes from chat_messages")
    assert row == (None, scene.channel_id, [{"name": "wave", "start": 0, "end": 4}])


async def test_life_of_a_broadcast(scene):
    bucket = scene.api.hub.bucket
    channel_key = subjects.channel_key(scene.channel_id)
    assert bucket.record(channel_key, ChannelRecord).stream_id == scene.stream_id
    expected = [
        (BroadcastEventKind.STARTED, ("live", EDGE, True, False)),
        (BroadcastEventKind.INTERRUPTED, ("interrupted", EDGE, True, False)),
        (BroadcastEventKind.RESUMED, ("live", EDGE, True, False)),
        (BroadcastEventKind.ENDED, ("ended", EDGE, True, True)),
        (BroadcastEventKind.RESUMED, ("ended", EDGE, True, True)),
    ]
    for n, (kind, status) in enumerate(expected):
        scene.event(kind, T0 + n * 1000)
        await scene.outbox.all_acked()
        assert await scene.status() == status
    await scene.api.service._parts.directory.announce([])
    assert bucket.record(channel_key, ChannelRecord).stream_id == ""
    key = bucket.record(subjects.stream_key_key(secret_hash(scene.stream["stream_key"])), KeyRecord)
    assert key.stream_id == ""
    assert (await scene.api.get(f"/streams/{scene.stream_id}/playback")).status == 410


async def test_broadcast_that_nobody_announced(scene):
    stream_id = new_id()
    scene.event(BroadcastEventKind.STARTED, broadcast_id=stream_id)
    await scene.outbox.all_acked()
    assert await scene.status(stream_id) == ("live", EDGE, True, False)
    await scene.api.service._parts.directory.announce([])
    record = scene.api.hub.bucket.record(subjects.stream_key(stream_id), StreamRecord)
    assert record.channel == "ada"
    live = (await scene.api.get("/v1/channels?live=true")).body["channels"]
    assert [view["stream_id"] for view in live] == [stream_id]


async def test_event_that_comes_late_changes_no_status(scene):
    scene.event(BroadcastEventKind.RESUMED, T0 + 2000)
    scene.event(BroadcastEventKind.INTERRUPTED, T0 + 1000)
    scene.event(BroadcastEventKind.STARTED, T0)
    await scene.outbox.all_acked()
    assert (await scene.status())[0] == "live"
    rows = await scene.api.sql("select extract(epoch from started_at) * 1000 from broadcasts")
    assert rows == [(T0,)]


async def test_event_is_applied_once(scene):
    event_id = new_id()
    scene.event(BroadcastEventKind.STARTED, event_id=event_id)
    await scene.outbox.all_acked()
    scene.event(BroadcastEventKind.ENDED, event_id=event_id)
    await scene.outbox.all_acked()
    assert (await scene.status())[0] == "live"


async def test_poison_is_kept_aside_and_holds_nothing_up(scene):
    good = chat_message(scene.stream_id, T0)
    room = subjects.chat(scene.channel_id, EDGE)
    scene.outbox.add(room, b"{not json")
    scene.outbox.add(room, b'[{"message_id":1}]')
    scene.outbox.add(subjects.chat(scene.channel_id, "oslo"), b"[]")
    scene.outbox.add("chat.0.elsewhere", b"[]")
    scene.outbox.add(subjects.event(EDGE, "broadcast"), b'{"kind":"exploded"}')
    scene.outbox.add(subjects.event(EDGE, "unheard-of"), b"{}")
    scene.event(BroadcastEventKind.STARTED, edge_id="oslo")
    scene.event(BroadcastEventKind.STARTED, channel_id=new_id())
    scene.event(BroadcastEventKind.STARTED, at_ms=1 << 60)
    scene.chat(chat_message(scene.stream_id, T0 + 1, "nul\x00"))
    scene.chat(chat_message(scene.stream_id, T0 + 2, message_id="1"))
    scene.chat(good)
    await scene.outbox.all_acked()
    assert await scene.dead() == [
        "undecodable",
        "undecodable",
        "foreign",
        "unknown_subject",
        "undecodable",
        "unknown_subject",
        "foreign",
        "event_channel",
        "time_range",
        "message_nul",
        "message_ids",
    ]
    assert await scene.api.sql("select message_id::text from chat_messages") == [(good.message_id,)]


async def test_entry_that_the_database_refuses_takes_no_other_with_it(scene):
    await scene.api.sql("alter table chat_messages add check (body <> 'bad')")
    scene.chat(chat_message(scene.stream_id, T0, "good"))
    scene.chat(chat_message(scene.stream_id, T0 + 1, "bad"))
    scene.event(BroadcastEventKind.STARTED)
    await scene.outbox.all_acked()
    assert await scene.api.sql("select body from chat_messages") == [("good",)]
    assert await scene.dead() == ["bad_value"]
    assert (await scene.status())[0] == "live"


async def test_nothing_is_acknowledged_while_the_database_is_away(dsn, hub):
    away = Database("host=/nonexistent user=nobody", wait_s=0.05)

    class Units:
        def open(self) -> Any:
            return away.transaction()

    outbox = hub.consumer(EDGE)
    message = outbox.add(subjects.chat(new_id(), EDGE), b"[]")
    bridge = OutboxBridge(EDGE, lambda: hub.outbox(EDGE), Units(), PostgresChatStore(away), None, None, None)
    with pytest.raises(UnavailableError):
        await bridge.commit([message])
    assert not message.acked


async def test_reports_on_publishers_are_kept_once_and_shown_to_the_owner(scene):
    first, second = scene.report(T0), scene.report(T0 + 5000)
    scene.outbox.add(subjects.event(EDGE, "publisher"), msgspec.json.encode(first))
    await scene.outbox.all_acked()
    answer = await scene.publishers(scene.owner["token"])
    assert answer.status == 200
    assert msgspec.convert(answer.body["publishers"], list[PublisherReport]) == [second, first]
    stranger = await scene.api.channel("eve")
    assert (await scene.publishers(stranger["token"])).status == 403
    assert (await scene.publishers("")).status == 401


async def test_a_report_that_can_never_be_kept_is_a_dead_letter(scene):
    scene.report(session_id="not-an-id")
    scene.report(channel_id=new_id())
    scene.report(edge_id="paris")
    good = scene.report()
    await scene.outbox.all_acked()
    assert sorted(await scene.dead()) == ["event_channel", "event_ids", "foreign"]
    shown = (await scene.publishers(scene.owner["token"])).body["publishers"]
    assert [one["event_id"] for one in shown] == [good.event_id]
