"""Figures of publishers on their way into the live bucket: in order, the newest only, tried until written."""

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.media import Notice
from edge.ingest.figures import Figures

KEYS = ("session.a.primary", "session.b.primary")


class Log:
    """An appender that acknowledges when it is told to."""

    def __init__(self) -> None:
        self.open: list[tuple[str, asyncio.Future[int]]] = []
        self.values: dict[str, bytes | None] = {}
        self.identities: list[str] = []
        self.writes = 0

    def append(
        self, subject: str, data: bytes, *, message_id: str, headers: Mapping[str, str]
    ) -> "asyncio.Future[int]":
        key = subject.removeprefix("$KV.figures.")
        assert key not in [subject for subject, _ in self.open], "two of one key are under way"
        self.values[key] = None if headers.get("KV-Operation") == "DEL" else data
        self.identities.append(message_id)
        self.writes += 1
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.open.append((key, future))
        return future

    async def acknowledge(self) -> None:
        (_, future), *self.open = self.open
        future.set_result(1)
        await asyncio.sleep(0)


def notice(text: str) -> Notice:
    return Notice(channel_id="id", channel="name", at_ms=1, code="code", text=text)


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from([None, "one", "two"]), st.booleans())))
def test_the_last_of_each_key_stays(steps: list[tuple[str, str | None, bool]]) -> None:
    async def run() -> None:
        log, expected = Log(), dict[str, bool]()
        figures = Figures(log)  # type: ignore[arg-type]
        for key, text, acknowledged in steps:
            if text is None:
                figures.delete(key)
            else:
                figures.put(key, notice(text))
            expected[key] = text is not None
            last = text
            if acknowledged and log.open:
                await log.acknowledge()
        while log.open:
            assert not await figures.backlog.flushed(0.0)
            await log.acknowledge()
        assert await figures.backlog.flushed(1.0)
        assert {key: value is not None for key, value in log.values.items()} == expected
        if steps and last is not None:
            assert last.encode() in (log.values[steps[-1][0]] or b"")
        assert len(set(log.identities)) == log.writes

    asyncio.run(run())


@pytest.mark.parametrize("count", [2, 50])
async def test_what_was_overtaken_is_not_written(count: int) -> None:
    log = Log()
    figures = Figures(log)  # type: ignore[arg-type]
    for number in range(count):
        figures.put(KEYS[0], notice(str(number)))
    figures.put(KEYS[1], notice("beside it"))
    while log.open:
        await log.acknowledge()
    assert log.writes == 3
    assert b'"text":"%d"' % (count - 1) in (log.values[KEYS[0]] or b"")
