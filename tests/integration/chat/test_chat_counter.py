"""The shared counters against a real Valkey, there and away."""

import asyncio

import pytest
import uvloop

from appliance.engines.valkey import ValkeyEngine
from edge.chat.limits import ValkeyCounter
from edge.chat.quotas import RedisLessor


def test_counts_add_up_and_absence_is_an_oserror(tmp_path):
    async def scenario():
        engine = ValkeyEngine(tmp_path, None)
        child = engine.child()
        process = await asyncio.create_subprocess_exec(*child.argv, stdout=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(5):
                while not await child.ready():
                    await asyncio.sleep(0.02)
            counters = [ValkeyCounter(engine.url) for _ in range(2)]
            assert await counters[0].take("u", 1_700_000_000_000, 3000) == 1_700_000_003_000
            assert await counters[1].take("u", 1_700_000_000_000, 3000) == 1_700_000_006_000
            assert await counters[0].take("u", 1_700_000_100_000, 3000) == 1_700_000_103_000
            lessors = [RedisLessor(engine.url) for _ in range(2)]
            assert await lessors[0].lease("room", 60, 50) == (50, 0.0)
            given, wait_s = await lessors[1].lease("room", 60, 50)
            assert (10 <= given <= 11, wait_s) == (True, 0.0)
            given, wait_s = await lessors[0].lease("room", 60, 50)
            assert given == 0
            assert 0 < wait_s <= 1
            assert await lessors[1].lease("other", 10_000, 50) == (50, 0.0)
        finally:
            process.kill()
            await process.wait()
        with pytest.raises(OSError):
            await lessors[0].lease("room", 60, 50)
        for lessor in lessors:
            await lessor.close()
        with pytest.raises(OSError):
            await counters[0].take("u", 1_700_000_000_000, 3000)
        for counter in counters:
            await counter.close()

    uvloop.run(scenario())
