"""A replica is what the bucket was a moment ago, also while and after the server is away."""

import asyncio
from collections.abc import Callable

from appliance.runtime.bus import Bus
from appliance.runtime.replica import Replica
from appliance.runtime.streams import BucketSpec


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_complete_when_started_and_fresh_afterwards(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("live"))
    live = bus.bucket("live")
    for number in range(200):
        await live.put(f"key.{number}", b"%d" % number)
    await live.delete("key.0")
    changes: list[tuple[str, bytes | None]] = []
    replica = Replica(bus, "live", lambda key, value: changes.append((key, value)))
    await replica.start()
    assert replica.get("key.0") is None
    assert replica.get("key.199") == b"199"
    assert len(replica.items("key.")) == 199
    await live.put("other.1", b"new")
    await live.delete("key.1")
    await until(lambda: replica.get("other.1") == b"new" and replica.get("key.1") is None)
    assert changes[-2:] == [("other.1", b"new"), ("key.1", None)]
    await replica.close()


async def test_bucket_of_which_all_has_expired_is_complete(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("lease", ttl_s=0.5))
    await bus.bucket("lease").put("a", b"1")
    replica = Replica(bus, "lease")
    await asyncio.sleep(1.0)
    async with asyncio.timeout(3):
        await replica.start()
    assert replica.get("a") is None
    await bus.bucket("lease").put("b", b"2")
    await until(lambda: replica.get("b") == b"2")
    await replica.close()


async def test_empty_bucket_is_complete(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("live"))
    replica = Replica(bus, "live")
    async with asyncio.timeout(3):
        await replica.start()
    await replica.close()


async def test_reads_go_on_while_the_server_is_away(bus: Bus, server) -> None:
    await bus.ensure_bucket(BucketSpec("live"))
    live = bus.bucket("live")
    await live.put("a", b"1")
    replica = Replica(bus, "live")
    await replica.start()
    server.kill()
    await asyncio.sleep(0.2)
    assert replica.get("a") == b"1"
    await server.start()
    await live.put("a", b"2")
    await until(lambda: replica.get("a") == b"2")
    await replica.close()


async def test_bucket_made_anew_replaces_what_was_known(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("live"))
    live = bus.bucket("live")
    await live.put("old", b"1")
    await live.put("older", b"1")
    told: list[str] = []
    replica = Replica(bus, "live", on_anew=lambda: told.append("anew"))
    await replica.start()
    await bus.api("STREAM.DELETE.KV_live")
    await bus.ensure_bucket(BucketSpec("live"))
    await live.put("new", b"2")
    await until(lambda: replica.items("") == [("new", b"2")])
    assert told == ["anew"]
    await replica.close()


async def test_replica_of_some_kinds_hears_of_no_others(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("live"))
    live = bus.bucket("live")
    await live.put("broadcast.a", b"1")
    await live.put("session.a", b"1")
    await live.put("sessions.a", b"1")
    await live.put("health.a", b"1")
    changes: list[tuple[str, bytes | None]] = []
    replica = Replica(bus, "live", lambda key, value: changes.append((key, value)), kinds=("broadcast", "session"))
    await replica.start()
    assert changes == [("broadcast.a", b"1"), ("session.a", b"1")]
    await live.put("health.a", b"2")
    await live.delete("session.a")
    await until(lambda: replica.get("session.a") is None)
    assert changes[2:] == [("session.a", None)]
    await replica.close()


async def test_replica_of_kinds_that_nobody_wrote_is_complete(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("live"))
    await bus.bucket("live").put("health.a", b"1")
    replica = Replica(bus, "live", kinds=("broadcast", "rendition"))
    async with asyncio.timeout(3):
        await replica.start()
    await bus.bucket("live").put("rendition.a.b", b"2")
    await until(lambda: replica.get("rendition.a.b") == b"2")
    assert replica.items("") == [("rendition.a.b", b"2")]
    await replica.close()
