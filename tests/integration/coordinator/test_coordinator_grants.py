"""Who is granted what: access, follows, subscriptions, suspension, keys; against a real database."""

import asyncio
import dataclasses
import stat
from datetime import datetime

import msgspec
import pytest

from appliance.contracts.directory import Access, ChannelRecord, secret_hash
from appliance.contracts.grants import (
    LIFE_S,
    UNTIL_S,
    GrantAnswer,
    GrantKeyRecord,
    GrantRequest,
    RevocationRecord,
    read_grant,
)
from appliance.contracts.subjects import channel_key, grant_key, grant_request
from appliance.runtime.ids import new_id
from appliance.runtime.signing import is_signed
from coordinator.directory import Directory
from coordinator.grants.keyring import Keyring
from coordinator.grants.service import Grants


class Scene:
    """A channel with an announced stream, and a viewer."""

    def __init__(self, api, owner, stream_id, viewer):
        self.api, self.owner, self.stream_id, self.viewer = api, owner, stream_id, viewer

    async def open_to(self, access):
        answer = await self.api.call("PATCH", "/v1/channels/ada", {"access": access}, token=self.owner["token"])
        assert answer.body["access"] == access

    async def playback(self, who=None, query=""):
        token = self.viewer["token"] if who is None else who
        return await self.api.get(f"/v1/streams/{self.stream_id}/playback{query}", token=token)

    async def follow(self, method="PUT"):
        answer = await self.api.call(method, "/v1/users/me/follows/ada", token=self.viewer["token"])
        assert answer.status == 204, answer.body

    async def subscribe(self, **changes):
        body = {"user_id": self.viewer["user_id"], "channel": "ada", **changes}
        return await self.api.post("/v1/subscriptions", body, token=self.api.operator)

    def revoked(self):
        bucket = self.api.hub.bucket
        return [bucket.record(key, RevocationRecord) for key in bucket.of_kind("revoked")]

    def grant_of(self, answer):
        """The grant of an answer, with its signature checked as an edge does."""
        grant, payload, signature = read_grant(answer.body["grant"])
        record = self.api.hub.bucket.record(grant_key(grant.key_id), GrantKeyRecord)
        assert is_signed(bytes.fromhex(record.public), payload, signature)
        assert not record.revoked
        return grant


@pytest.fixture
async def scene(api):
    owner = await api.channel("ada")
    body = {"title": "Live", "user_id": owner["user_id"]}
    stream = (await api.post("/streams", body, token=owner["token"])).body
    viewer = (await api.post("/v1/users", {"username": "bob"}, token=api.operator)).body
    return Scene(api, owner, stream["stream_id"], viewer)


async def test_a_public_channel_needs_nobody(scene):
    for who in ("", "nct_wrong", scene.viewer["token"]):
        answer = await scene.playback(who)
        assert answer.status == 200
        assert "grant" not in answer.body
        assert "/g/" not in answer.body["playback_url"]


async def test_followers_only(scene):
    await scene.open_to("followers")
    record = scene.api.hub.bucket.record(channel_key(scene.owner["channel_id"]), ChannelRecord)
    assert record.access is Access.FOLLOWERS
    assert record.access_changed_ms > 0
    for who in ("", "nct_wrong"):
        nobody = await scene.playback(who)
        assert (nobody.status, nobody.body["code"]) == (401, "login_required")
    refused = await scene.playback()
    assert (refused.status, refused.body["code"]) == (403, "followers_only")
    assert "/v1/users/me/follows/ada" in refused.body["detail"]
    await scene.follow()
    await scene.follow()
    answer = await scene.playback()
    grant = scene.grant_of(answer)
    assert (grant.user_id, grant.channel_id) == (scene.viewer["user_id"], scene.owner["channel_id"])
    assert grant.expires_ms - grant.issued_ms == LIFE_S * 1000
    assert grant.until_ms - grant.issued_ms == UNTIL_S * 1000
    assert answer.body["playback_url"] == f"http://lyon.example:8080/g/{answer.body['grant']}/live/ada/index.m3u8"
    assert f"/g/{answer.body['grant']}/thumb/" in answer.body["thumbnail_url"]
    assert msgspec.convert(answer.body["expires_at"], datetime).timestamp() * 1000 == grant.expires_ms
    listed = await scene.api.get("/v1/users/me/follows", token=scene.viewer["token"])
    assert [one["channel"] for one in listed.body["follows"]] == ["ada"]
    for token in (scene.owner["token"], scene.api.operator):
        assert scene.grant_of(await scene.playback(token))


async def test_unfollowing_revokes_and_following_again_grants_anew(scene):
    await scene.follow()
    await scene.follow("DELETE")
    assert scene.revoked() == [], "nothing was granted of a public channel"
    await scene.open_to("followers")
    await scene.follow()
    before = scene.grant_of(await scene.playback())
    await scene.follow("DELETE")
    [record] = scene.revoked()
    assert (record.user_id, record.channel_id) == (scene.viewer["user_id"], scene.owner["channel_id"])
    assert record.until_ms >= before.issued_ms
    assert (await scene.playback()).status == 403
    await scene.follow("DELETE")
    await scene.follow()
    assert scene.grant_of(await scene.playback()).issued_ms > record.until_ms
    await scene.follow("DELETE")
    assert len(scene.revoked()) == 1, "one of a user and channel"


async def test_subscribers_only(scene):
    await scene.open_to("followers")
    await scene.follow()
    await scene.open_to("subscribers")
    assert (await scene.playback()).body["code"] == "subscribers_only"
    made = await scene.subscribe(tier=2, expires_in_s=3600)
    assert (made.status, made.body["tier"]) == (201, 2)
    grant = scene.grant_of(await scene.playback(query="?life_s=43200"))
    assert abs(grant.until_ms - grant.issued_ms - 3_600_000) < 60_000, "not beyond what was paid for"
    assert grant.expires_ms == grant.until_ms
    await scene.open_to("followers")
    await scene.follow("DELETE")
    assert scene.grant_of(await scene.playback()), "subscribers watch what is for followers"
    ended = f"/v1/subscriptions/{made.body['subscription_id']}"
    assert (await scene.api.call("DELETE", ended, token=scene.viewer["token"])).status == 403
    assert (await scene.api.call("DELETE", ended, token=scene.api.operator)).status == 204
    assert (await scene.playback()).status == 403
    listed = (await scene.api.get("/v1/users/me/subscriptions", token=scene.viewer["token"])).body["subscriptions"]
    assert [(one["tier"], one["ended_at"] is not None) for one in listed] == [(2, True)]
    await scene.subscribe(expires_in_s=1)
    await scene.api.sql("update subscriptions set expires_at = now() - interval '1 second'")
    assert (await scene.playback()).status == 403


async def test_closing_a_channel_further_voids_grants(scene):
    await scene.open_to("followers")
    key = channel_key(scene.owner["channel_id"])
    first = scene.api.hub.bucket.record(key, ChannelRecord).access_changed_ms
    await scene.open_to("followers")
    await scene.open_to("public")
    assert scene.api.hub.bucket.record(key, ChannelRecord).access_changed_ms == first
    await scene.open_to("subscribers")
    assert scene.api.hub.bucket.record(key, ChannelRecord).access_changed_ms > first


async def test_a_suspended_user_loses_everything(scene):
    await scene.open_to("followers")
    await scene.follow()
    scene.grant_of(await scene.playback())
    path = f"/v1/users/{scene.viewer['user_id']}"
    assert (await scene.api.call("PATCH", path, {"suspended": True}, token=scene.viewer["token"])).status == 403
    answer = await scene.api.call("PATCH", path, {"suspended": True}, token=scene.api.operator)
    assert answer.body["suspended"] is True
    assert [one.channel_id for one in scene.revoked()] == [""]
    assert (await scene.playback()).body["code"] == "suspended"
    await scene.api.call("PATCH", path, {"suspended": False}, token=scene.api.operator)
    assert scene.grant_of(await scene.playback())


async def test_refusals(scene):
    await scene.open_to("followers")
    me = scene.viewer["user_id"]
    calls = [
        (("POST", "/v1/channels/ada/grant?life_s=59", None), 400),
        (("POST", "/v1/channels/ada/grant?life_s=43201", None), 400),
        (("POST", "/v1/channels/nobody/grant", None), 404),
        (("PUT", "/v1/users/me/follows/nobody", None), 404),
        (("DELETE", "/v1/users/me/follows/nobody", None), 404),
        (("POST", "/v1/subscriptions", {"user_id": "x", "channel": "ada"}), 404),
        (("POST", "/v1/subscriptions", {"user_id": me, "channel": "nobody"}), 404),
        (("POST", "/v1/subscriptions", {"user_id": me, "channel": "ada", "tier": 4}), 400),
        (("POST", "/v1/subscriptions", {"user_id": me, "channel": "ada", "expires_in_s": 0}), 400),
        (("DELETE", "/v1/subscriptions/x", None), 404),
        (("DELETE", "/v1/grant-keys/x", None), 404),
        (("DELETE", "/v1/grant-keys/0123456789abcdef", None), 404),
        (("PATCH", "/v1/users/x", {"suspended": True}), 404),
    ]
    for (method, path, body), status in calls:
        answer = await scene.api.call(method, path, body, token=scene.api.operator)
        assert answer.status == status, (path, body)


async def test_a_grant_by_the_channels_name_and_over_the_bus(scene):
    answer = await scene.api.post("/v1/channels/ada/grant", token=scene.viewer["token"])
    assert (answer.status, answer.body["grant"]) == (201, None)
    await scene.open_to("followers")
    await scene.follow()
    scene.grant_of(await scene.api.post("/v1/channels/ada/grant?life_s=3600", token=scene.viewer["token"]))

    async def asked(token, channel="ada", data=None):
        found = []

        async def reply(answered):
            found.append(msgspec.json.decode(answered, type=GrantAnswer))

        request = GrantRequest(token=secret_hash(token), channel=channel)
        handler = scene.api.hub.served[grant_request("*")]
        await handler(msgspec.json.encode(request) if data is None else data, reply)
        async with asyncio.timeout(5):
            while not found:
                await asyncio.sleep(0.005)
        return found[0]

    got = await asked(scene.viewer["token"])
    assert read_grant(got.grant)[0].until_ms == got.until_ms
    assert (await asked("nct_wrong")).status == 401
    assert (await asked(scene.viewer["token"], "nobody")).code == "channel_not_found"
    assert (await asked("", data=b"{")).status == 400
    await scene.follow("DELETE")
    assert (await asked(scene.viewer["token"])).code == "followers_only"


async def test_a_revoked_key_is_told_and_another_signs(scene):
    await scene.open_to("followers")
    await scene.follow()
    old = scene.grant_of(await scene.playback()).key_id
    assert (await scene.api.call("DELETE", f"/v1/grant-keys/{old}", token=scene.viewer["token"])).status == 403
    assert (await scene.api.call("DELETE", f"/v1/grant-keys/{old}", token=scene.api.operator)).status == 204
    assert scene.api.hub.bucket.record(grant_key(old), GrantKeyRecord).revoked
    assert scene.grant_of(await scene.playback()).key_id != old
    shown = (await scene.api.get("/v1/grant-keys", token=scene.api.operator)).body["keys"]
    assert old not in [key["key_id"] for key in shown]


async def test_keys_rotate_are_known_before_they_sign_and_survive_a_restart(start_api, config, tmp_path):
    folder = tmp_path / "grants"
    api = await start_api(dataclasses.replace(config, grant_keys=folder))
    now = 1_800_000_000_000
    day = 86_400_000
    grants = Grants(Keyring(folder), lambda: now)

    async def signer():
        async with api.service._parts.units.open() as unit:
            return (await grants.signer(unit)).key_id

    first = await signer()
    files = {file.stem: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert files[first] == 0o600
    now += 5 * day
    assert await signer() == first
    now += day + 1
    assert await signer() == first
    known = [file.stem for file in folder.iterdir()]
    now += day
    second = await signer()
    assert second != first
    assert second in known
    assert api.hub.bucket.record(grant_key(first), GrantKeyRecord).revoked is False
    grants = Grants(Keyring(folder), lambda: now)
    assert await signer() == second, "its key was kept"
    now += day
    async with api.service._parts.units.open() as unit:
        await grants.maintain(unit)
    assert first not in [file.stem for file in folder.iterdir()]
    elsewhere = Grants(Keyring(None), lambda: now)
    async with api.service._parts.units.open() as unit:
        assert (await elsewhere.signer(unit)).key_id != second, "each coordinator has keys of its own"


async def test_what_is_over_leaves_the_directory(scene):
    await scene.open_to("followers")
    await scene.follow()
    await scene.follow("DELETE")
    await scene.api.sql("update grant_revocations set until = now() - interval '3 days'")
    await scene.api.sql("update grant_keys set retires_at = now() - interval '3 days'")
    database = scene.api.service._database
    await Directory(database, scene.api.hub.bucket, scene.api.hub.ensure_directory).reconcile()
    assert scene.revoked() == []
    assert scene.api.hub.bucket.of_kind("grantkey") == []
    from coordinator.grants import store

    async with database.transaction() as connection:
        await store.forget_old(connection)
    for table in ("grant_revocations", "grant_keys"):
        assert await scene.api.sql(f"select * from {table}") == []
    assert (await scene.api.get(f"/v1/streams/{new_id()}/playback")).status == 404
