"""Every route's status codes, against a listening coordinator with a real database."""

import asyncio
import signal
import sys
from typing import Any

import aiohttp
import pytest

from appliance.contracts import subjects
from appliance.contracts.chat import ChatPosted
from appliance.contracts.directory import (
    ChannelRecord,
    KeyRecord,
    Profile,
    StreamRecord,
    TokenRecord,
    secret_hash,
)
from appliance.contracts.ids import is_uuid7
from appliance.runtime.ids import new_id


def assert_problem(answer: Any, status: int, code: str) -> None:
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["code"] == code
    assert answer.body["status"] == status
    assert answer.body["type"] == f"urn:nearcast:problem:{code}"
    assert answer.body["title"]


async def start_stream(api: Any, owner: dict[str, Any], title: str = "Hello") -> dict[str, Any]:
    body = {"title": title, "user_id": owner["user_id"]}
    answer = await api.post("/streams", body, token=owner["token"])
    assert answer.status == 201, answer.body
    return dict(answer.body)


async def test_health_and_description(api):
    assert (await api.get("/healthz")).status == 200
    ready = {"status": "ready", "chat_store": "postgresql", "chat_history": "answers"}
    assert (await api.get("/readyz")).body == ready
    document = (await api.get("/openapi.json")).body
    assert document["openapi"] == "3.1.0"
    assert {"/streams", "/v1/streams", "/v1/users/me"} <= set(document["paths"])
    assert (await api.call("HEAD", "/docs")).status == 200
    page = (await api.get("/docs")).body.decode()
    assert "rotate-key" in page
    assert "http://" not in page
    assert "https://" not in page


async def test_ready_says_no_while_the_bus_is_away(api):
    api.hub.bucket.away = True
    assert_problem(await api.get("/readyz"), 503, "bus_away")
    assert (await api.get("/healthz")).status == 200


async def test_channel_create_gives_all_an_encoder_needs(api):
    made = await api.channel("ada")
    assert made["channel"] == "ada"
    assert is_uuid7(made["user_id"])
    assert made["stream_key"].startswith("nck_")
    assert made["rtmp_url"] == "rtmp://lyon.example:1935/live"
    key = api.hub.bucket.record(subjects.stream_key_key(secret_hash(made["stream_key"])), KeyRecord)
    assert (key.channel, key.user_id, key.revoked) == ("ada", made["user_id"], False)
    token = api.hub.bucket.record(subjects.token_key(secret_hash(made["token"])), TokenRecord)
    assert (token.username, token.scopes) == ("ada", ["chat", "stream"])
    channel = api.hub.bucket.record(subjects.channel_key(key.channel_id), ChannelRecord)
    assert channel.channel == "ada"
    stored = await api.sql("select count(*) from stream_keys where key_hash = %s", made["stream_key"])
    assert stored == [(0,)]


async def test_channel_refusals(api):
    ada = await api.channel("ada")
    again = await api.post("/v1/channels", {"name": "ada"}, token=api.operator)
    assert_problem(again, 409, "user_has_channel")
    other = await api.post("/v1/channels", {"name": "ada", "username": "bob"}, token=api.operator)
    assert_problem(other, 409, "channel_taken")
    bad = await api.post("/v1/channels", {"name": "No Spaces"}, token=api.operator)
    assert_problem(bad, 400, "invalid_channel_name")
    foreign = {"name": "eve", "username": "eve"}
    assert_problem(await api.post("/v1/channels", foreign, token=ada["token"]), 403, "forbidden")
    assert_problem(await api.post("/v1/channels", {"name": "eve"}), 401, "token_missing")
    assert_problem(await api.get("/v1/channels/nobody"), 404, "channel_not_found")
    assert_problem(await api.get("/v1/channels?limit=0"), 400, "invalid_limit")
    assert_problem(await api.get("/v1/channels?limit=x"), 400, "invalid_query")
    assert_problem(await api.get("/v1/channels?nope=1"), 400, "invalid_query")


async def test_channels_are_listed_in_pages(api):
    for name in ("a1", "b2", "c3"):
        await api.channel(name)
    first = (await api.get("/v1/channels?limit=2")).body
    assert [view["channel"] for view in first["channels"]] == ["a1", "b2"]
    second = (await api.get(f"/v1/channels?limit=2&after={first['next']}")).body
    assert [view["channel"] for view in second["channels"]] == ["c3"]
    assert second["next"] is None
    assert (await api.get("/v1/channels?live=true")).body["channels"] == []
    one = (await api.get("/v1/channels/b2")).body
    assert one["live"] is False


async def test_user_makes_their_own_channel(api):
    user = (await api.post("/v1/users", {"username": "Grace"}, token=api.operator)).body
    made = await api.post("/v1/channels", {"name": "grace-live", "title": "Hi"}, token=user["token"])
    assert made.status == 201
    assert made.body["user_id"] == user["user_id"]
    me = (await api.get("/v1/users/me", token=user["token"])).body
    assert me == {
        "user_id": user["user_id"],
        "username": "Grace",
        "scopes": ["chat", "stream"],
        "suspended": False,
        "channel": "grace-live",
    }


async def test_rotate_key_revokes_every_older_one(api):
    ada = await api.channel("ada")
    made = await api.post("/v1/channels/ada/rotate-key", token=ada["token"])
    assert made.status == 201
    assert made.body["stream_key"] != ada["stream_key"]
    old = api.hub.bucket.record(subjects.stream_key_key(secret_hash(ada["stream_key"])), KeyRecord)
    new = api.hub.bucket.record(subjects.stream_key_key(secret_hash(made.body["stream_key"])), KeyRecord)
    assert old.revoked
    assert not new.revoked
    bob = await api.channel("bob")
    assert_problem(await api.post("/v1/channels/ada/rotate-key", token=bob["token"]), 403, "forbidden")
    assert_problem(await api.post("/v1/channels/zed/rotate-key", token=bob["token"]), 404, "channel_not_found")


async def test_several_keys_of_a_channel(api):
    ada = await api.channel("ada")
    wanted = {"label": "second encoder", "standby": True, "expires_in_s": 3600}
    made = await api.post("/v1/channels/ada/keys", wanted, token=ada["token"])
    assert made.status == 201
    record_key = subjects.stream_key_key(secret_hash(made.body["stream_key"]))
    record = api.hub.bucket.record(record_key, KeyRecord)
    assert record.standby
    assert record.expires_at_ms > 0
    assert not api.hub.bucket.record(subjects.stream_key_key(secret_hash(ada["stream_key"])), KeyRecord).standby
    listed = (await api.get("/v1/channels/ada/keys", token=ada["token"])).body["keys"]
    assert [(key["label"], key["standby"]) for key in listed] == [("", False), ("second encoder", True)]
    assert "stream_key" not in str(listed)
    path = f"/v1/channels/ada/keys/{made.body['key_id']}"
    assert (await api.call("DELETE", path, token=ada["token"])).status == 200
    assert api.hub.bucket.record(record_key, KeyRecord).revoked
    assert_problem(await api.call("DELETE", path, token=ada["token"]), 404, "key_not_found")
    bob = await api.channel("bob")
    assert_problem(await api.get("/v1/channels/ada/keys", token=bob["token"]), 403, "forbidden")
    assert_problem(await api.post("/v1/channels/ada/keys", {}, token=bob["token"]), 403, "forbidden")
    assert_problem(await api.call("DELETE", path, token=bob["token"]), 403, "forbidden")


async def test_keys_have_limits(api):
    ada = await api.channel("ada")
    for body, code in (
        ({"label": "x" * 61}, "invalid_label"),
        ({"label": "a\nb"}, "invalid_label"),
        ({"expires_in_s": -1}, "invalid_expiry"),
    ):
        assert_problem(await api.post("/v1/channels/ada/keys", body, token=ada["token"]), 400, code)
    for _ in range(19):
        assert (await api.post("/v1/channels/ada/keys", {}, token=api.operator)).status == 201
    assert_problem(await api.post("/v1/channels/ada/keys", {}, token=api.operator), 409, "too_many_keys")


async def test_change_and_suspend_a_channel(api):
    ada = await api.channel("ada")
    changed = await api.call("PATCH", "/v1/channels/ada", {"title": "New"}, token=ada["token"])
    assert changed.body["title"] == "New"
    own = await api.call("PATCH", "/v1/channels/ada", {"suspended": True}, token=ada["token"])
    assert_problem(own, 403, "forbidden")
    await api.call("PATCH", "/v1/channels/ada", {"suspended": True}, token=api.operator)
    body = {"title": "x", "user_id": ada["user_id"]}
    assert_problem(await api.post("/streams", body, token=ada["token"]), 403, "suspended")
    [key] = api.hub.bucket.of_kind("channel")
    assert api.hub.bucket.record(key, ChannelRecord).suspended


async def test_profile_is_the_owners_and_partnership_the_operators(api):
    ada = await api.channel("ada")
    changed = await api.call("PATCH", "/v1/channels/ada", {"profile": "quality"}, token=ada["token"])
    assert (changed.body["profile"], changed.body["partner"]) == ("quality", False)
    own = await api.call("PATCH", "/v1/channels/ada", {"partner": True}, token=ada["token"])
    assert_problem(own, 403, "forbidden")
    made = await api.call("PATCH", "/v1/channels/ada", {"partner": True}, token=api.operator)
    assert (made.body["profile"], made.body["partner"]) == ("quality", True)
    [key] = api.hub.bucket.of_kind("channel")
    record = api.hub.bucket.record(key, ChannelRecord)
    assert (record.profile, record.partner) == (Profile.QUALITY, True)
    wrong = await api.call("PATCH", "/v1/channels/ada", {"profile": "speed"}, token=ada["token"])
    assert wrong.status == 400


async def test_users_and_tokens(api):
    ada = (await api.post("/v1/users", {"username": "ada"}, token=api.operator)).body
    taken = await api.post("/v1/users", {"username": "ADA"}, token=api.operator)
    assert_problem(taken, 409, "username_taken")
    assert_problem(await api.post("/v1/users", {"username": "a b"}, token=api.operator), 400, "invalid_username")
    assert_problem(await api.post("/v1/users", {"username": "x"}, token=ada["token"]), 403, "missing_scope")
    path = f"/v1/users/{ada['user_id']}/tokens"
    chat = await api.post(path, {"scopes": ["chat"], "expires_in_s": 60}, token=ada["token"])
    assert chat.status == 201
    assert chat.body["scopes"] == ["chat"]
    assert chat.body["expires_at"]
    more = await api.post(path, {"scopes": ["operator"]}, token=ada["token"])
    assert_problem(more, 403, "missing_scope")
    assert_problem(await api.post(path, {"scopes": ["root"]}, token=ada["token"]), 400, "invalid_body")
    assert_problem(await api.post(path, {"expires_in_s": -1}, token=ada["token"]), 400, "invalid_expiry")
    stream = {"title": "x", "user_id": ada["user_id"]}
    assert_problem(await api.post("/streams", stream, token=chat.body["token"]), 403, "missing_scope")
    gone = await api.call("DELETE", f"{path}/{chat.body['token_id']}", token=ada["token"])
    assert gone.status == 204
    assert_problem(await api.get("/v1/users/me", token=chat.body["token"]), 401, "unauthenticated")
    record = api.hub.bucket.record(subjects.token_key(secret_hash(chat.body["token"])), TokenRecord)
    assert record.revoked
    nobody = await api.post(f"/v1/users/{new_id()}/tokens", {}, token=api.operator)
    assert_problem(nobody, 404, "user_not_found")
    assert_problem(await api.post("/v1/users/zzz/tokens", {}, token=api.operator), 404, "user_not_found")


async def test_expired_token_is_refused(api):
    ada = await api.channel("ada")
    await api.sql("update tokens set expires_at = now() - interval '1 second'")
    assert_problem(await api.get("/v1/users/me", token=ada["token"]), 401, "unauthenticated")
    answer = await api.get("/v1/users/me", token="nct_wrong")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    basic = await api.get("/v1/users/me", headers={"Authorization": "Basic abc"})
    assert_problem(basic, 401, "token_missing")


@pytest.mark.parametrize("path", ["/streams", "/v1/streams"])
async def test_start_stream(api, path):
    user = (await api.post("/v1/users", {"username": "Ada"}, token=api.operator)).body
    body = {"title": "First", "category": "Art", "user_id": user["user_id"]}
    answer = await api.post(path, body, token=user["token"])
    assert answer.status == 201
    made = answer.body
    assert made["ingest_url"] == "rtmp://lyon.example:1935/live"
    assert made["ingest_urls"] == ["rtmp://lyon.example:1935/live", "rtmp://oslo.example:1935/live"]
    assert made["playback_url"] == "http://lyon.example:8080/live/ada/index.m3u8"
    assert made["chat_url"] == f"ws://lyon.example:8080/streams/{made['stream_id']}/chat/subscribe"
    directory = api.hub.bucket
    key = directory.record(subjects.stream_key_key(secret_hash(made["stream_key"])), KeyRecord)
    assert key.stream_id == made["stream_id"]
    channel = directory.record(subjects.channel_key(key.channel_id), ChannelRecord)
    assert (channel.stream_id, channel.title, channel.category) == (made["stream_id"], "First", "Art")
    stream = directory.record(subjects.stream_key(made["stream_id"]), StreamRecord)
    assert stream.channel == "ada"


async def test_start_stream_refusals(api):
    ada, bob = await api.channel("ada"), await api.channel("bob")
    good = {"title": "x", "user_id": ada["user_id"]}
    assert_problem(await api.post("/streams", good), 401, "token_missing")
    assert_problem(await api.post("/streams", good, token="nope"), 401, "unauthenticated")
    assert_problem(await api.post("/streams", good, token=bob["token"]), 403, "forbidden")
    token = ada["token"]
    assert_problem(await api.post("/streams", {**good, "title": " "}, token=token), 400, "empty_title")
    assert_problem(await api.post("/streams", {**good, "title": "x" * 256}, token=token), 400, "too_long")
    unknown = {"title": "x", "user_id": new_id()}
    assert_problem(await api.post("/streams", unknown, token=api.operator), 404, "user_not_found")
    await api.sql("update users set suspended = true where user_id = %s", bob["user_id"])
    bobs = {"title": "x", "user_id": bob["user_id"]}
    assert_problem(await api.post("/streams", bobs, token=bob["token"]), 403, "suspended")


async def test_start_stream_is_limited(api):
    ada = await api.channel("ada")
    for _ in range(5):
        await start_stream(api, ada)
    answer = await api.post("/streams", {"title": "x", "user_id": ada["user_id"]}, token=ada["token"])
    assert_problem(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_playback(api):
    ada = await api.channel("ada")
    stream_id = (await start_stream(api, ada))["stream_id"]
    answer = await api.get(f"/streams/{stream_id}/playback")
    assert answer.body == {
        "stream_id": stream_id,
        "status": "created",
        "playback_url": "http://lyon.example:8080/live/ada/index.m3u8",
        "playback_urls": [
            "http://lyon.example:8080/live/ada/index.m3u8",
            "http://oslo.example:8080/live/ada/index.m3u8",
        ],
        "chat_url": f"ws://lyon.example:8080/streams/{stream_id}/chat/subscribe",
        "thumbnail_url": "http://lyon.example:8080/thumb/ada.jpg",
    }
    await api.sql("update broadcasts set status = 'live', edge_id = 'oslo' where stream_id = %s", stream_id)
    live = (await api.get(f"/v1/streams/{stream_id}/playback")).body
    assert live["status"] == "live"
    assert live["playback_url"].startswith("http://oslo.")
    assert (await api.get("/v1/channels/ada")).body["stream_id"] == stream_id
    await api.sql("update broadcasts set status = 'ended' where stream_id = %s", stream_id)
    assert_problem(await api.get(f"/streams/{stream_id}/playback"), 410, "stream_ended")
    await api.sql("update broadcasts set vod_url = '/vod/1/index.m3u8' where stream_id = %s", stream_id)
    assert (await api.get(f"/streams/{stream_id}/playback")).body["status"] == "vod"
    assert_problem(await api.get(f"/streams/{new_id()}/playback"), 404, "stream_not_found")
    assert_problem(await api.get("/streams/%00'; drop/playback"), 404, "stream_not_found")


async def test_post_chat_goes_through_the_edge(api):
    ada, bob = await api.channel("ada"), await api.channel("bob")
    stream_id = (await start_stream(api, ada))["stream_id"]
    path = f"/streams/{stream_id}/chat"
    api.hub.answer = ChatPosted(message_id=new_id(), timestamp=1_700_000_000_000)
    answer = await api.post(path, {"user_id": ada["user_id"], "message": "hello"}, token=ada["token"])
    assert answer.status == 201
    assert answer.body == {"message_id": api.hub.answer.message_id, "timestamp": 1_700_000_000_000}
    subject, post = api.hub.posts[-1]
    assert subject == subjects.chat_post("lyon")
    assert (post.username, post.badges, post.stream_id) == ("ada", ["broadcaster"], stream_id)
    await api.post(path, {"user_id": bob["user_id"], "message": "hello"}, token=api.operator)
    assert api.hub.posts[-1][1].username == "bob"
    assert api.hub.posts[-1][1].badges == []


async def test_post_chat_refusals(api):
    ada, bob = await api.channel("ada"), await api.channel("bob")
    path = f"/streams/{(await start_stream(api, ada))['stream_id']}/chat"
    good = {"user_id": bob["user_id"], "message": "hello"}
    token = bob["token"]
    assert_problem(await api.post(path, {**good, "message": "x" * 501}, token=token), 400, "too_long")
    assert_problem(await api.post(path, {**good, "message": " "}, token=token), 400, "empty")
    assert_problem(await api.post(path, good), 401, "token_missing")
    assert_problem(await api.post(path, good, token=ada["token"]), 403, "forbidden")
    missing = f"/streams/{new_id()}/chat"
    assert_problem(await api.post(missing, good, token=token), 404, "stream_not_found")
    assert_problem(await api.post(path, good, token=token), 503, "unavailable")
    api.hub.answer = ChatPosted(code="banned", detail="banned here", status=403)
    assert_problem(await api.post(path, good, token=token), 403, "banned")
    api.hub.answer = ChatPosted(code="rate_limited", status=429, retry_after_s=2.4)
    limited = await api.post(path, good, token=token)
    assert_problem(limited, 429, "rate_limited")
    assert limited.headers["Retry-After"] == "3"
    api.hub.answer = ChatPosted()
    assert_problem(await api.post(path, good, token=token), 503, "unavailable")


async def test_subscribe_redirects_to_the_edge(api):
    ada = await api.channel("ada")
    stream_id = (await start_stream(api, ada))["stream_id"]
    path = f"/streams/{stream_id}/chat/subscribe"
    answer = await api.get(path + "?since=7", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert answer.status == 307
    assert answer.headers["Location"] == f"ws://lyon.example:8080{path}?since=7"
    assert_problem(await api.get("/streams/none/chat/subscribe"), 404, "stream_not_found")


async def test_ingests(api):
    answer = (await api.get("/v1/ingests")).body
    assert answer["ingests"][1] == {
        "edge_id": "oslo",
        "rtmp_url": "rtmp://oslo.example:1935/live",
        "whip_url": "http://oslo.example:8080/whip",
    }


async def test_what_cannot_be_read_is_refused(api):
    assert_problem(await api.get("/v1/nothing"), 404, "no_such_path")
    wrong = await api.call("PUT", "/v1/channels")
    assert_problem(wrong, 405, "method_not_allowed")
    assert "POST" in wrong.headers["Allow"]
    path, token = "/v1/users", api.operator
    assert_problem(await api.call("POST", path, data=b"{nope", token=token), 400, "invalid_json")
    assert_problem(await api.call("POST", path, data=b"\xff\xfe", token=token), 400, "invalid_json")
    assert_problem(await api.call("POST", path, data=b"[" * 5000, token=token), 400, "invalid_body")
    assert_problem(await api.post(path, {"username": "a", "x": 1}, token=token), 400, "invalid_body")
    assert_problem(await api.post(path, {"username": 1}, token=token), 400, "invalid_body")
    assert_problem(await api.post(path, {}, token=token), 400, "invalid_body")
    nul = {"title": "a\x00b", "user_id": new_id()}
    assert_problem(await api.post("/streams", nul, token=token), 400, "control_characters")


async def test_body_beyond_the_cap_is_refused(api):
    try:
        answer = await api.call("POST", "/v1/users", data=b"x" * 70_000, token=api.operator)
    except aiohttp.ClientError:
        return  # refused and cut while the client was still sending
    assert_problem(answer, 413, "body_too_large")


async def test_unexpected_error_says_nothing(api):
    await api.sql("alter table broadcasts rename column title to name")
    answer = await api.get(f"/streams/{new_id()}/playback")
    assert_problem(answer, 500, "internal")
    assert "column" not in str(answer.body)
    assert answer.body["instance"] == f"urn:uuid:{answer.headers['X-Request-Id']}"


async def test_same_idempotency_key_gives_the_same_answer(api):
    headers = {"Idempotency-Key": "k1"}
    body = {"name": "ada"}
    first = await api.post("/v1/channels", body, token=api.operator, headers=headers)
    again = await api.post("/v1/channels", body, token=api.operator, headers=headers)
    assert (first.status, first.body) == (again.status, again.body)
    other = await api.post("/v1/channels", {"name": "bob"}, token=api.operator, headers=headers)
    assert_problem(other, 409, "idempotency_key_reused")
    mine = await api.post("/v1/channels", body, token=first.body["token"], headers=headers)
    assert_problem(mine, 409, "user_has_channel")
    bad = await api.post("/v1/channels", body, token=api.operator, headers={"Idempotency-Key": "a b"})
    assert_problem(bad, 400, "invalid_idempotency_key")
    [(sealed,)] = await api.sql("select response from idempotency_keys where status is not null")
    assert first.body["stream_key"].encode() not in sealed


async def test_refused_request_may_be_tried_again_with_its_key(api):
    ada = await api.channel("ada")
    path = f"/streams/{(await start_stream(api, ada))['stream_id']}/chat"
    body = {"user_id": ada["user_id"], "message": "hello"}
    headers = {"Idempotency-Key": "k1"}
    assert (await api.post(path, body, token=ada["token"], headers=headers)).status == 503
    api.hub.answer = ChatPosted(message_id=new_id(), timestamp=5)
    first = await api.post(path, body, token=ada["token"], headers=headers)
    again = await api.post(path, body, token=ada["token"], headers=headers)
    assert first.status == again.status == 201
    assert first.body == again.body
    assert [post.nonce for _, post in api.hub.posts] == ["k1", "k1"]
    await api.post(path, {**body, "nonce": "n1"}, token=ada["token"], headers={"Idempotency-Key": "k2"})
    assert api.hub.posts[-1][1].nonce == "n1"


_CLAIMS_AND_DIES = """
import asyncio, os, signal, sys, psycopg
from coordinator.api import store
async def main():
    async with await psycopg.AsyncConnection.connect(sys.argv[1]) as connection:
        found = await connection.execute("select token_id, key, request_hash from idempotency_keys")
        row = await found.fetchone()
        await connection.execute("delete from idempotency_keys")
        assert await store.claim(connection, *row, 10.0)
        await connection.commit()
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def test_a_key_whose_process_was_killed_is_free_again_soon(api):
    """The claim is committed, the effect may have come about, the answer was never kept."""
    ada = await api.channel("ada")
    path = f"/streams/{(await start_stream(api, ada))['stream_id']}/chat"
    body = {"user_id": ada["user_id"], "message": "hello"}
    api.hub.answer = ChatPosted(message_id=new_id(), timestamp=5)

    async def post(body=body):
        return await api.post(path, body, token=ada["token"], headers={"Idempotency-Key": "k1"})

    await post()
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", _CLAIMS_AND_DIES, api.dsn)
    assert await killed.wait() == -signal.SIGKILL
    busy = await post()
    assert_problem(busy, 409, "in_progress")
    assert busy.headers["Retry-After"] == "2"
    await api.sql("update idempotency_keys set created_at = created_at - interval '11 seconds'")
    assert_problem(await post({**body, "message": "another"}), 409, "idempotency_key_reused")
    answers = await asyncio.gather(*(post() for _ in range(4)))
    assert {answer.status for answer in answers} <= {201, 409}
    assert [answer.status for answer in answers].count(201) >= 1
    assert (await post()).status == 201
    assert [post.nonce for _, post in api.hub.posts] == ["k1", "k1"], "done once more, and the edge knows the key"


async def test_concurrent_requests_with_one_key_have_one_effect(api):
    ada = await api.channel("ada")
    body = {"title": "x", "user_id": ada["user_id"]}
    answers = await asyncio.gather(
        *(api.post("/streams", body, token=ada["token"], headers={"Idempotency-Key": "k"}) for _ in range(4))
    )
    assert len({answer.body["stream_id"] for answer in answers}) == 1
    assert await api.sql("select count(*) from broadcasts") == [(1,)]


async def test_operator_token_is_made_once(api):
    assert api.operator.startswith("nct_")
    assert await api.service.ensure_operator() is None
    assert await api.service.ensure_operator(api.operator) is None


async def test_lost_operator_token_is_replaced(api):
    user = await api.channel("ada")
    for kept in ("", "nct_lost", user["token"]):
        fresh = await api.service.ensure_operator(kept)
        assert (await api.get("/v1/users/me", token=fresh)).body["scopes"] == ["operator"]
