"""Batches of quality, from the outbox into a real database and out as a stream's timeline."""

import msgspec
import pytest

from appliance.contracts import subjects
from appliance.contracts.quality import QUALITY, QualityBatch, QualityCell, SessionSummary, ViewersSample
from appliance.runtime.ids import new_id

MINUTE = 1_700_000_040_000


class Scene:
    """A stream and what its edges tell."""

    def __init__(self, api, owner, stream_id):
        self.api, self.owner, self.stream_id = api, owner, stream_id

    def cell(self, latencies=(), **changes):
        fields = {"broadcast_id": self.stream_id, "minute_ms": MINUTE, "height": 720, "player": "hls.js"}
        cell = QualityCell(**(fields | changes))
        for value in latencies:
            cell.latency_ms.add(value)
        return cell

    def send(self, edge="lyon", **fields):
        batch = QualityBatch(**({"event_id": new_id(), "edge_id": edge, "at_ms": MINUTE + 20_000} | fields))
        return self.api.hub.consumer(edge).add(subjects.event(edge, QUALITY), msgspec.json.encode(batch))

    async def stored(self):
        for consumer in self.api.hub.consumers.values():
            await consumer.all_acked()

    async def timeline(self, query="", token=None):
        token = self.owner["token"] if token is None else token
        return await self.api.get(f"/v1/streams/{self.stream_id}/quality{query}", token=token)


@pytest.fixture
async def scene(api):
    owner = await api.channel("ada")
    body = {"title": "Live", "user_id": owner["user_id"]}
    stream = (await api.post("/streams", body, token=owner["token"])).body
    return Scene(api, owner, stream["stream_id"])


async def test_batches_of_edges_add_up_and_a_repeat_changes_nothing(scene):
    first = scene.send(
        cells=[
            scene.cell([1000] * 60, beacons=60, sessions=60, played_ms=570_000, stalls=3, stall_ms=30_000),
            scene.cell(height=0, player="whep", beacons=10, played_ms=100_000, errors={"network": 1}),
        ],
        viewers=[ViewersSample(scene.stream_id, 60)],
    )
    scene.send(
        cells=[scene.cell([4000] * 40, beacons=30, shed=10, sessions=2, errors={"network": 1, "media": 2})],
        viewers=[ViewersSample(scene.stream_id, 70)],
    )
    scene.send("oslo", cells=[scene.cell(beacons=5)], viewers=[ViewersSample(scene.stream_id, 8)])
    scene.api.hub.consumer("lyon").add(first.subject, first.data)
    await scene.stored()
    answer = await scene.timeline()
    assert answer.status == 200
    [minute] = answer.body["minutes"]
    assert minute["minute"] == "2023-11-14T22:14:00Z"
    assert minute["viewers"] == {"most": 78, "mean": 73.0}
    assert (minute["reports"], minute["sessions"], minute["stalls"]) == (105, 62, 3)
    assert minute["kept"] == pytest.approx(105 / 115)
    assert minute["stall_ratio"] == pytest.approx(30 / 700)
    assert minute["latency_ms"]["count"] == 100
    assert minute["latency_ms"]["p50"] == pytest.approx(1000, rel=0.05)
    assert minute["latency_ms"]["p95"] == pytest.approx(4000, rel=0.05)
    assert minute["startup_ms"] is None
    assert minute["errors"] == {"network": 2, "media": 2}
    assert set(minute["heights"]) == {"720", "0"}
    assert minute["players"]["whep"]["played_s"] == 100.0


async def test_minutes_are_ordered_and_bounded(scene):
    scene.send(cells=[scene.cell(minute_ms=MINUTE + n * 60_000, beacons=n) for n in range(1, 5)])
    scene.send(at_ms=MINUTE + 300_000, viewers=[ViewersSample(scene.stream_id, 1)])
    await scene.stored()

    async def reports(query):
        return [minute["reports"] for minute in (await scene.timeline(query)).body["minutes"]]

    assert await reports("") == [1, 2, 3, 4, 0]
    assert await reports("?limit=2") == [4, 0]
    assert await reports(f"?since={MINUTE + 120_000}&until={MINUTE + 240_000}") == [2, 3]
    assert await reports(f"?until={MINUTE}") == []
    assert (await scene.timeline("?limit=0")).status == 400
    assert (await scene.timeline("?since=-1")).status == 400


async def test_only_the_owner_and_operators_may_see_it(scene):
    stranger = await scene.api.channel("eve")
    assert (await scene.timeline(token=stranger["token"])).status == 403
    assert (await scene.timeline(token="")).status == 401
    assert (await scene.timeline(token=scene.api.operator)).body["minutes"] == []
    assert (await scene.api.get(f"/v1/streams/{new_id()}/quality", token=scene.owner["token"])).status == 404


def summary(scene, **changes):
    fields = {"session": "0123456789abcdef", "broadcast_id": scene.stream_id, "player": "hls.js 1.7.0"}
    return SessionSummary(**(fields | {"began_ms": MINUTE, "ended_ms": MINUTE + 5000, "stalls": 2} | changes))


async def test_sessions_are_kept_once_and_forgotten_in_time(scene):
    scene.send(sessions=[summary(scene)])
    scene.send(sessions=[summary(scene)])
    scene.send(cells=[scene.cell(beacons=1)], viewers=[ViewersSample(scene.stream_id, 1)])
    await scene.stored()
    [(player, stalls)] = await scene.api.sql("select summary->>'player', summary->'stalls' from quality_sessions")
    assert (player, stalls) == ("hls.js 1.7.0", 2)
    from coordinator.quality import store

    async with scene.api.service._database.transaction() as connection:
        await store.forget_old(connection)
    for table in ("quality_sessions", "quality_minutes", "quality_viewers"):
        assert await scene.api.sql(f"select * from {table}") == []


async def test_what_can_never_be_stored_is_a_dead_letter_as_a_whole(scene):
    scene.send(cells=[scene.cell(beacons=1), scene.cell(height=721)])
    scene.send(cells=[scene.cell(player="mine")])
    scene.send(cells=[scene.cell(minute_ms=MINUTE + 1)])
    scene.send(cells=[scene.cell(errors={"\x00": 1})])
    scene.send(sessions=[summary(scene, broadcast_id="x")])
    scene.send(sessions=[summary(scene, player="\x00")])
    scene.send(cells=[scene.cell(minute_ms=60_000 << 30)])
    good = scene.cell(beacons=7)
    scene.send(cells=[good])
    await scene.stored()
    dead = await scene.api.sql("select split_part(reason, ':', 1) from dead_letters order by seq")
    assert [row[0] for row in dead] == ["quality_cell"] * 4 + ["event_ids"] * 2 + ["time_range"]
    assert [minute["reports"] for minute in (await scene.timeline()).body["minutes"]] == [7]
