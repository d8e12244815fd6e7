"""Protected channels: grants in the path, refusals, revocation, renewal; and the same bytes for everybody."""

import asyncio
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from origin_fakes import BROADCAST

from appliance.contracts import grants as contract
from appliance.contracts.directory import Access, ChannelRecord
from appliance.contracts.errors import BadInputError
from appliance.contracts.grants import (
    LATE_S,
    LIFE_S,
    SKEW_MS,
    UNTIL_S,
    Grant,
    GrantAnswer,
    GrantKeyRecord,
    RevocationRecord,
    read_grant,
    write_grant,
)
from appliance.contracts.subjects import channel_key, grant_key, revocation_key
from appliance.runtime.signing import SigningKey
from edge.access import grants as grants_module
from edge.access.grants import Grants, Refusal
from edge.origin.metrics import Tally

NOW = 1_700_000_000_000
KEY = SigningKey(b"k" * 32)
CHANNEL_ID = str(uuid.UUID(int=7))
USER = str(uuid.UUID(int=9))
CHANNEL = ChannelRecord(channel_id=CHANNEL_ID, channel="alice", user_id="u", access=Access.FOLLOWERS)
SOURCE = f"/media/{BROADCAST}/source"


def grant(key=KEY, **changes):
    fields = {
        "key_id": key.key_id, "root": key.key_id, "channel_id": CHANNEL_ID, "user_id": USER, "issued_ms": NOW,
        "expires_ms": NOW + LIFE_S * 1000, "until_ms": NOW + UNTIL_S * 1000,
    }  # fmt: skip
    made = Grant(**(fields | changes))
    return write_grant(made, key.sign(made.payload()))


def key_record(**changes):
    return GrantKeyRecord(key_id=KEY.key_id, public=KEY.public.hex(), **changes)


class Edge:
    """Grants with the coordinator's key and a site's own."""

    def __init__(self):
        self.grants = Grants(Tally().event)
        self.grants.sign_with(SigningKey(b"s" * 32))
        self.put(grant_key(KEY.key_id), key_record())

    def put(self, key, record):
        self.grants.directory_changed(key, None if record is None else contract.msgspec.json.encode(record))

    def check(self, text, channel=CHANNEL, now=NOW):
        found = self.grants.check(text, channel, now)
        return found if isinstance(found, Refusal) else None


@pytest.fixture
def edge():
    return Edge()


ids = st.uuids().map(str)
times = st.integers(0, 1 << 48)


@given(st.builds(Grant, key_id=st.just("ab" * 8), root=st.just("cd" * 8), channel_id=ids, user_id=ids,
                 issued_ms=times, expires_ms=times, until_ms=times))  # fmt: skip
def test_grants_travel(made):
    text = write_grant(made, b"s" * 64)
    assert read_grant(text) == (made, made.payload(), b"s" * 64)
    assert len(text) == contract.TEXT


@given(st.text(max_size=300) | st.text("abcAB-_=", min_size=contract.TEXT, max_size=contract.TEXT))
def test_anything_is_a_grant_or_bad_input(text):
    try:
        read_grant(text)
    except BadInputError as error:
        assert error.code == "grant"


@given(st.integers(0, contract.TEXT - 1), st.sampled_from("abcXYZ019-_"))
def test_no_letter_of_a_grant_can_be_changed(at, letter):
    text = grant()
    changed = text[:at] + letter + text[at + 1 :]
    assert Edge().check(changed) == (None if changed == text else Refusal.INVALID)


@pytest.mark.parametrize(
    ("changes", "at_ms", "why"),
    [
        ({}, 0, None),
        ({}, -SKEW_MS, None),
        ({}, -SKEW_MS - 1, Refusal.INVALID),
        ({}, LIFE_S * 1000 + SKEW_MS - 1, None),
        ({}, LIFE_S * 1000 + SKEW_MS, Refusal.EXPIRED),
        ({"channel_id": USER}, 0, Refusal.FOREIGN),
        ({"root": "00" * 8}, 0, Refusal.INVALID),
        ({"key_id": "00" * 8}, 0, Refusal.INVALID),
    ],
)
def test_what_a_grant_is_good_for(edge, changes, at_ms, why):
    assert edge.check(grant(**changes), now=NOW + at_ms) == why


def test_keys_rotate_and_are_revoked(edge):
    other = SigningKey(b"o" * 32)
    assert edge.check(grant(other)) == Refusal.INVALID
    edge.put(grant_key(other.key_id), GrantKeyRecord(key_id=other.key_id, public=other.public.hex()))
    assert edge.check(grant(other)) is None
    edge.put(grant_key(other.key_id), GrantKeyRecord(key_id=other.key_id, public=other.public.hex(), revoked=True))
    assert edge.check(grant(other)) == Refusal.REVOKED
    edge.put(grant_key(other.key_id), None)
    assert edge.check(grant(other)) == Refusal.INVALID
    edge.put(grant_key("x"), GrantKeyRecord(key_id=other.key_id, public="no hex"))
    assert edge.check(grant(other)) == Refusal.INVALID


def test_what_is_remembered_of_grants_is_bounded(edge, monkeypatch):
    monkeypatch.setattr(grants_module, "_KNOWN", 2)
    for text in ("a", "b", grant(), "c"):
        edge.check(text)
    assert list(edge.grants._known) == [grant(), "c"]
    assert edge.check(grant()) is None


def test_revocations_void_what_was_issued_before(edge):
    for channel_id in (CHANNEL_ID, ""):
        key = revocation_key("r" + channel_id)
        edge.put(key, RevocationRecord(user_id=USER, channel_id=channel_id, until_ms=NOW))
        assert edge.check(grant()) == Refusal.REVOKED
        assert edge.check(grant(issued_ms=NOW + 1), now=NOW + 1) is None
        assert edge.check(grant(user_id=CHANNEL_ID)) is None, "somebody else's"
        edge.put(key, None)
        assert edge.check(grant()) is None
    closed = contract.msgspec.structs.replace(CHANNEL, access=Access.SUBSCRIBERS, access_changed_ms=NOW + 1)
    assert edge.check(grant(), closed) == Refusal.REVOKED
    edge.grants.directory_changed(key, b"{")
    assert edge.check(grant()) is None


def test_a_renewed_grant_is_revoked_as_its_root_and_ends_with_it(edge):
    text, made = edge.grants.renew(grant(), CHANNEL, NOW + 300_000)
    assert made.expires_ms == NOW + 300_000 + LIFE_S * 1000
    assert (made.issued_ms, made.root, made.until_ms) == (NOW, KEY.key_id, NOW + UNTIL_S * 1000)
    assert edge.check(text, now=NOW + 800_000) is None
    assert Edge().check(text) is None, "any origin of the site"
    elsewhere = Edge()
    elsewhere.grants.sign_with(SigningKey(b"e" * 32))
    assert elsewhere.check(text) == Refusal.INVALID
    late = made.until_ms - 1000
    again = grant(expires_ms=late)
    _, last = edge.grants.renew(again, CHANNEL, late)
    assert last.expires_ms == made.until_ms
    assert edge.grants.renew(again, CHANNEL, made.until_ms) is Refusal.EXPIRED
    edge.put(revocation_key("r"), RevocationRecord(user_id=USER, until_ms=NOW))
    assert edge.check(text) == Refusal.REVOKED
    assert edge.grants.renew(text, CHANNEL, NOW) is Refusal.REVOKED


def test_how_late_a_grant_is_renewed(edge):
    end = NOW + LIFE_S * 1000 + SKEW_MS + LATE_S * 1000
    assert not isinstance(edge.grants.renew(grant(), CHANNEL, end - 1), Refusal)
    assert edge.grants.renew(grant(), CHANNEL, end) is Refusal.EXPIRED
    assert edge.grants.renew("x", CHANNEL, NOW) is Refusal.INVALID
    long = grant(expires_ms=NOW + UNTIL_S * 1000)
    assert edge.grants.renew(long, CHANNEL, NOW)[1].expires_ms == NOW + UNTIL_S * 1000, "never shorter"


# -- over HTTP


@pytest.fixture
async def closed(origin):
    """The live channel, for followers."""
    origin.directory_changed(grant_key(KEY.key_id), key_record())
    close(origin)
    return origin


def close(origin, **changes):
    fields = {"channel_id": CHANNEL_ID, "channel": "alice", "user_id": "u", "access": Access.FOLLOWERS}
    origin.directory_changed(channel_key("id-alice"), None)
    origin.directory_changed(channel_key(CHANNEL_ID), ChannelRecord(**(fields | changes)))
    origin.catalogue.tick()


async def status(client, path, **headers):
    return (await client.get(path, **headers)).status


PATHS = ["/live/alice/index.m3u8", f"{SOURCE}/index.m3u8", f"{SOURCE}/s0.m4s", f"{SOURCE}/i0.mp4"]


async def test_without_a_grant_nothing_is_seen(closed):
    client = await closed.client()
    faces = ["/live/alice/classic.m3u8", "/live/alice/audio.m3u8", f"{SOURCE}/iframes.m3u8"]
    for path in [*PATHS, *faces, f"{SOURCE}/p9.m4s", "/thumb/alice.jpg"]:
        answer = await client.get(path)
        assert answer.status == 401, path
        assert answer.headers["www-authenticate"] == 'Grant realm="nearcast", error="missing"'
        assert answer.headers["cache-control"] == "no-store"
        assert await status(client, f"/g/{'x' * 183}{path}") == 401
        assert await status(client, f"/g/{grant(channel_id=USER)}{path}") == 403
    expired = await client.get(f"/g/{grant(expires_ms=NOW - SKEW_MS)}{PATHS[0]}")
    assert (expired.status, 'error="expired"' in expired.headers["www-authenticate"]) == (401, True)
    document = json.loads((await client.get("/live/alice/status.json")).body)
    assert (document["access"], document["state"]) == ("followers", "live")
    [listed] = json.loads((await client.get("/live/channels.json")).body)["channels"]
    assert (listed["access"], listed["thumbnail"]) == ("followers", None)


async def test_with_a_grant_everything_is_as_for_everybody(closed):
    client = await closed.client()
    one, other = grant(), grant(user_id=CHANNEL_ID)
    found = [(await client.get(f"/g/{one}{path}")) for path in PATHS[:3]]
    assert [answer.status for answer in found] == [200, 200, 200]
    for path, answer in zip(PATHS, found, strict=False):
        assert (await client.get(f"/g/{other}{path}")).raw == answer.raw
    assert b"/g/" not in found[0].body + found[1].body, "addresses are relative: the prefix stays by itself"
    assert found[2].headers["cache-control"].startswith("public")
    close(closed, access=Access.PUBLIC)
    for path, answer in zip(PATHS, found, strict=False):
        assert (await client.get(path)).raw == answer.raw
        assert (await client.get(f"/g/{one}{path}")).raw == answer.raw


async def test_what_is_not_there_is_not_there(closed):
    client = await closed.client()
    good = grant()
    for prefix in ("", f"/g/{good}"):
        assert await status(client, f"{prefix}/live/nobody/index.m3u8") == 404
        assert await status(client, f"{prefix}/live/bob/index.m3u8") == 410
        assert await status(client, f"{prefix}/media/elsewhere/source/index.m3u8") == 404
    for path in ("/g/", "/g/x", f"/g/{good}", f"/g/{good}/", f"/g/{good}/healthz", f"/g/{good}/g/{good}{PATHS[0]}"):
        assert await status(client, path) == 404, path


async def test_held_requests_of_who_was_revoked_end(closed):
    client, other = await closed.client(), await closed.client()
    for path in PATHS[1:2]:
        assert await status(client, f"/g/{grant()}{path}") == 200
    client.send(f"/g/{grant()}{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=3")
    other.send(f"/g/{grant(user_id=CHANNEL_ID)}{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=2")
    await asyncio.sleep(0.05)
    closed.directory_changed(revocation_key("r"), RevocationRecord(user_id=USER, until_ms=NOW))
    answer = await asyncio.wait_for(client.receive(), 2)
    assert answer.status == 403
    assert await status(client, f"/g/{grant()}{PATHS[0]}") == 403
    closed.add("source", closed.video.next_part())
    assert (await asyncio.wait_for(other.receive(), 2)).status == 200
    assert closed.guard._watched == {}


async def test_a_channel_that_closes_takes_its_viewers(origin):
    client = await origin.client()
    assert await status(client, PATHS[1]) == 200
    client.send(f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=2")
    await asyncio.sleep(0.02)
    close(origin)
    origin.add_part()
    assert (await asyncio.wait_for(client.receive(), 2)).status == 200, "it was asked while it was open"
    assert await status(client, PATHS[1]) == 401
    origin.directory_changed(channel_key(CHANNEL_ID), None)
    origin.catalogue.tick()
    assert await status(client, PATHS[1]) == 401, "a directory that is copied anew opens nothing"


async def test_renewal_over_http(closed):
    client = await closed.client()
    answer = await client.get(f"/g/{grant()}/live/alice/grant")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    document = json.loads(answer.body)
    assert document["renew_until"] == NOW + UNTIL_S * 1000
    assert await status(client, f"/g/{document['grant']}{PATHS[0]}") == 200
    closed.now_ms = NOW + LIFE_S * 1000 + SKEW_MS
    assert await status(client, f"/g/{grant()}{PATHS[0]}") == 401
    assert await status(client, f"/g/{grant()}/live/alice/grant") == 200
    assert await status(client, f"/g/{grant(channel_id=USER)}/live/alice/grant") == 403
    assert await status(client, "/live/nobody/grant") == 404
    close(closed, access=Access.PUBLIC)
    assert json.loads((await client.get("/live/alice/grant")).body) == {"grant": None}


async def test_the_centre_is_asked_for_who_is_logged_in(closed):
    client = await closed.client()
    anonymous = await client.get("/live/alice/grant")
    assert (anonymous.status, anonymous.headers["www-authenticate"]) == (401, 'Bearer realm="nearcast"')
    closed.centre.answer = GrantAnswer(grant=grant(), expires_ms=NOW + 5, until_ms=NOW + 9)
    answer = await client.get("/live/alice/grant?life_s=900", Authorization="Bearer secret")
    assert json.loads(answer.body) == {"grant": grant(), "expires_at": NOW + 5, "renew_until": NOW + 9}
    [(subject, asked)] = closed.centre.asked
    assert (subject, asked.channel, asked.life_s) == ("fed.edge1.req.grant", "alice", 900)
    assert "secret" not in asked.token
    closed.centre.answer = GrantAnswer(status=403, code="followers_only", detail="Follow alice.")
    refused = await client.get("/live/alice/grant", Authorization="Bearer secret")
    assert (refused.status, json.loads(refused.body)["code"]) == (403, "followers_only")
    closed.centre.answer = None
    away = await client.get("/live/alice/grant", Authorization="Bearer secret")
    assert (away.status, "retry-after" in away.headers) == (503, True)
    client.send("/live/alice/grant", Authorization="Bearer secret")
    closed.centre.open.clear()
    await asyncio.sleep(0.02)
    await client.close()
    closed.centre.open.set()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/live/alice/index.m3u8", 401),
        (f"{SOURCE}/s0.m4s?x=1", 401),
        ("/thumb/alice.jpg", 401),
        ("/media", 204),
        ("/live/alice/classic.m3u8", 401),
        ("/live/alice/status.json", 204),
        ("/live/alice/grant", 204),
        ("x", 401),
        ("/thumb/alice/320.jpg", 401),
        ("GRANT/live/alice/index.m3u8", 204),
        (f"GRANT{SOURCE}/s0.m4s", 204),
        ("OTHER/live/alice/index.m3u8", 403),
        ("/live/nobody/index.m3u8", 204),
        ("/live/channels.json", 204),
        ("/", 204),
        ("", 401),
        ("/live/../live/alice/index.m3u8", 401),
    ],
)
async def test_what_a_cache_in_front_is_told(closed, uri, expected):
    client = await closed.client()
    uri = uri.replace("GRANT", f"/g/{grant()}").replace("OTHER", f"/g/{grant(channel_id=USER)}")
    assert await status(client, "/grant/check", X_Original_URI=uri) == expected
