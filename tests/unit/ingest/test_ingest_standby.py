"""Two publishers of one channel: which is on the air, and that no frame is lost or doubled between them."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable

import msgspec
import pytest
from flv_source import Body, audio_config, media, video_config
from ingest_fakes import KEY, directory_with
from test_ingest_service import Client, Site, until

from appliance.contracts import subjects
from appliance.contracts.directory import KeyRecord, secret_hash
from appliance.contracts.media import AUDIO, SOURCE, BroadcastState
from edge.ingest.service import IngestService
from edge.protocols.fmp4 import read_fragments

SPARE = "spare-key"
PROGRAM = media(20)
HEAD = [video_config(), audio_config()]


@pytest.fixture
async def site() -> Iterable[Site]:  # type: ignore[misc]
    made = Site()
    made.directory = directory_with(KEY)
    record = KeyRecord(key_id="spare", channel_id="channel0", channel="name0", user_id="user", standby=True)
    made.directory.values[subjects.stream_key_key(secret_hash(SPARE))] = msgspec.json.encode(record)
    yield made
    await made.close()


class Encoder:
    """Sends one program, from any of its frames on, with stamps of its own."""

    def __init__(self, client: Client, *, shift_ms: int = 0, program: list[Body] = PROGRAM) -> None:
        self.client = client
        self._shift_ms = shift_ms
        self._program = program
        self._at = 0
        pictures = any(body.is_video for body in program)
        client.send(HEAD if pictures else HEAD[1:])

    def skip(self, until_ms: int) -> None:
        while self._program[self._at].stamp < until_ms:
            self._at += 1

    def send(self, until_ms: int) -> None:
        """Everything before `until_ms` of the program that was not sent yet."""
        chosen = []
        while self._at < len(self._program) and self._program[self._at].stamp < until_ms:
            body = self._program[self._at]
            chosen.append(body._replace(stamp=body.stamp + self._shift_ms))
            self._at += 1
        self.client.send(chosen)

    async def die(self) -> None:
        self.client.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.client.writer.wait_closed()


def numbers(site: Site) -> list[int]:
    """Of the pictures in the log, as the synthetic encoder wrote them into the slices."""
    found = []
    for _, data in site.log.chunks(site.log.broadcasts()[0].broadcast_id, SOURCE):
        for fragment in read_fragments(data) if data else ():
            found += [int.from_bytes(bytes(sample.data)[5:9], "big") for sample in fragment.samples]
    return found


def sounds(site: Site) -> list[int]:
    found = []
    for _, data in site.log.chunks(site.log.broadcasts()[0].broadcast_id, AUDIO):
        for fragment in read_fragments(data) if data else ():
            found += [int.from_bytes(bytes(sample.data), "big") for sample in fragment.samples]
    return found


def assert_contiguous(site: Site, *, frames: bool = True) -> None:
    """No hole and no overlap in decode times, msns and serials; with `frames` none lost and none doubled."""
    broadcast_id = site.log.broadcasts()[0].broadcast_id
    for name in (SOURCE, AUDIO):
        headers = [header for header, _ in site.log.chunks(broadcast_id, name)]
        for one, two in itertools.pairwise(headers):
            assert two.msn - one.msn in (0, 1)
            assert two.dts >= one.dts + one.duration
            if frames:
                assert two.dts == one.dts + one.duration, (name, one, two)
    if frames:
        shown, heard = numbers(site), sounds(site)
        assert shown == list(range(shown[0], shown[0] + len(shown)))
        assert heard == list(range(heard[0], heard[0] + len(heard)))


async def both(site: Site, first: IngestService, second: IngestService, **options: int) -> tuple[Encoder, Encoder]:
    """A primary on the air for 3 s of media, and a standby that sends the same."""
    primary = Encoder(await site.client(first))
    primary.send(3000)
    await until(lambda: site.state() is BroadcastState.LIVE)
    spare = Encoder(await site.client(second, SPARE), **options)
    spare.send(3000)
    await asyncio.sleep(0.1)  # it begins to follow the log
    for at in range(3100, 4100, 100):
        primary.send(at)
        spare.send(at)
        await asyncio.sleep(0.01)
    return primary, spare


@pytest.mark.parametrize("shift_ms", [0, 71_234])
@pytest.mark.parametrize("processes", [1, 2])
async def test_nothing_is_lost_when_the_primary_dies(site: Site, shift_ms: int, processes: int) -> None:
    first = await site.ingest()
    second = await site.ingest() if processes == 2 else first
    primary, spare = await both(site, first, second, shift_ms=shift_ms)
    assert len(site.log.broadcasts()) == 1
    assert site.log.broadcasts()[0].slot == "primary"
    await primary.die()
    spare.send(5000)
    await until(lambda: site.log.broadcasts()[0].slot == "standby")
    spare.send(9000)
    await until(lambda: len(numbers(site)) >= 265)
    assert_contiguous(site)
    (record,) = site.log.broadcasts()
    assert (record.state, record.epoch) == (BroadcastState.LIVE, 2)


async def test_viewers_keep_their_renditions_when_a_standby_begins_with_sound(site: Site) -> None:
    """The primary was ahead with its pictures: nothing is known of the standby's before one comes."""
    service = await site.ingest()
    primary, spare = await both(site, service, service)
    ladder = site.log.broadcasts()[0].ladder
    assert SOURCE in ladder
    primary.client.send([body for body in PROGRAM if body.is_video and 4000 <= body.stamp < 4300])
    spare.send(4200)
    await asyncio.sleep(0.1)
    await primary.die()
    for at in range(4200, 6000, 20):
        spare.send(at)
        await asyncio.sleep(0.005)
        assert site.log.broadcasts()[0].ladder == ladder
    assert site.log.broadcasts()[0].slot == "standby"
    shown = numbers(site)
    assert shown == list(range(len(shown)))


async def test_a_primary_that_stalls_and_comes_back(site: Site) -> None:
    service = await site.ingest(standby_stall_s=0.2, standby_return_s=0.3)
    primary, spare = await both(site, service, service)
    for at in range(4100, 4600, 50):
        spare.send(at)
        await asyncio.sleep(0.05)
    await until(lambda: site.log.broadcasts()[0].slot == "standby")
    primary.send(4600)  # its bytes were only held up: it is not thrown out
    for at in range(4600, 9600, 50):
        primary.send(at)
        spare.send(at)
        await asyncio.sleep(0.05)
        if site.log.broadcasts()[0].slot == "primary":
            break
    else:
        pytest.fail("the primary did not come back")
    primary.send(at + 2000)
    await until(lambda: numbers(site)[-1] * 1000 // 30 >= at + 1800)
    assert_contiguous(site)


async def test_a_standby_with_another_picture_begins_with_its_key_frame(site: Site) -> None:
    service = await site.ingest()
    primary = Encoder(await site.client(service))
    primary.send(3000)
    await until(lambda: site.state() is BroadcastState.LIVE)
    other = [
        body._replace(body=body.body[:-4] + b"othr") if body.is_video and body.body[1] == 1 else body
        for body in media(40, gop=30)
    ]
    spare = Encoder(await site.client(service, SPARE), program=other)
    spare.skip(20_000)
    for at in range(3100, 4100, 100):
        primary.send(at)
        spare.send(at + 17_000)
        await asyncio.sleep(0.01)
    await primary.die()
    at = 21_100  # that it is dead may be seen half a second later, because it sent faster than it plays
    while (at < 24_000 or site.log.broadcasts()[0].slot != "standby") and at < 39_000:
        spare.send(at)
        at += 100
        await asyncio.sleep(0.01)
    await until(lambda: site.log.broadcasts()[0].slot == "standby")
    spare.send(at + 1000)
    await until(lambda: numbers(site)[-1] > 690)
    assert_contiguous(site, frames=False)
    shown = numbers(site)
    begin = next(index for index, (one, two) in enumerate(itertools.pairwise(shown)) if two != one + 1)
    assert shown[begin + 1] % 30 == 0


async def test_a_standby_alone_goes_on_the_air_after_a_while(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.ingest.promotion._ALONE_S", 0.3)
    service = await site.ingest()
    spare = Encoder(await site.client(service, SPARE))
    for at in range(100, 6000, 100):
        spare.send(at)
        await asyncio.sleep(0.01)
        assert site.state() is None or at > 2000
    await until(lambda: site.state() is BroadcastState.LIVE)
    assert site.log.broadcasts()[0].slot == "standby"


async def test_a_primary_that_comes_later_waits_until_it_is_well(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.ingest.promotion._ALONE_S", 0.0)
    service = await site.ingest(standby_return_s=0.3)
    spare = Encoder(await site.client(service, SPARE))
    spare.send(3000)
    for at in range(3000, 5000, 100):
        spare.send(at)
        await asyncio.sleep(0.01)
    await until(lambda: site.state() is BroadcastState.LIVE)
    primary = Encoder(await site.client(service))
    primary.skip(4900)
    await asyncio.sleep(0.1)
    assert site.log.broadcasts()[0].slot == "standby"
    for at in range(4900, 8900, 50):
        primary.send(at)
        spare.send(at)
        await asyncio.sleep(0.02)
        if site.log.broadcasts()[0].slot == "primary":
            break
    assert site.log.broadcasts()[0].slot == "primary"
    primary.send(at + 1000)
    await asyncio.sleep(0.1)
    assert_contiguous(site)
