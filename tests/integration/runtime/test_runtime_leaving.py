"""A process that leaves while its server is away: in order, and without a word of failure."""

import asyncio
from pathlib import Path

import structlog.testing
import uvloop

from appliance.runtime.bus import Bus
from appliance.runtime.replica import Replica
from appliance.runtime.streams import BucketSpec
from tests.integration.runtime.conftest import NatsServer


def test_a_bus_whose_server_is_away_is_left_in_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = NatsServer(tmp_path)
        await server.start()
        bus = await Bus.connect(server.endpoint, name="leaves")
        await bus.ensure_bucket(BucketSpec("facts"))
        replica = Replica(bus, "facts")
        await replica.start()
        server.kill()
        while bus.connected:
            await asyncio.sleep(0.01)
        await bus.publish("said.last", b"nobody hears it")
        await bus.close()
        await asyncio.sleep(0.1)
        await replica.close()

    with structlog.testing.capture_logs() as said:
        uvloop.run(scenario())
    assert [entry for entry in said if entry["log_level"] == "error"] == []
