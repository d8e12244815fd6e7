"""Hours of a broadcast, faster than real time: every frame once, and the memory of the process stays flat.

`NEARCAST_SOAK_S` is how long the broadcast is, in seconds of media (1200).
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.contracts.media import AUDIO, CHUNK_HEADER, SOURCE, AudioFormat, ChunkHeader, Init, Rendition
from appliance.contracts.subjects import MEDIA_STREAM, media
from appliance.runtime.bus import Bus
from edge.protocols.fmp4 import AudioTrack, Sample, init_segment
from edge.transcode.chunks import SourceChunk
from edge.transcode.forms import AudioForm, VideoForm
from tests.integration.runtime.conftest import NatsServer
from tests.integration.transcode.transcode_site import BROADCAST, Site, h264_record, live, make_site
from tests.unit.transcode.encoded_sources import chunks_of, picture_source, sound_source

SECONDS = int(os.environ.get("NEARCAST_SOAK_S", "1200"))
SEGMENT_S, GOP, SOUND_HZ = 2, 60, 48_000
SEGMENTS = SECONDS // SEGMENT_S
MADE = {"180p": 90_000, "160p": 90_000, "aac": SOUND_HZ}  # renditions and the ticks of their times
AHEAD = 12  # segments that are in the log and not worked off
GROWTH_MB = 8.0  # from the end of the first quarter to that of the last
STUCK_S = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + SECONDS)]


class Source:
    """One GOP of pictures and its sound, again and again at later times."""

    def __init__(self, rendition: str, samples: list[Sample], form: VideoForm | AudioForm, timescale: int) -> None:
        self.rendition = rendition
        self._samples = samples
        self._form = form
        self._timescale = timescale

    def segment(self, msn: int) -> list[SourceChunk]:
        shift = msn * SEGMENT_S * self._timescale
        samples = [sample.replace(dts=sample.dts + shift) for sample in self._samples]
        per_chunk = 3 if self._timescale != SOUND_HZ else 10
        return chunks_of(
            samples, self._form, segments=[0], timescale=self._timescale, per_chunk=per_chunk, first_msn=msn
        )


class Made:
    """What the transcoder has made: checked as it comes, and how many segments are whole."""

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self._came = asyncio.Event()

    @property
    def segments(self) -> int:
        """Whole in every rendition."""
        if len(self.ends) < len(MADE):
            return 0
        return min(self.ends[name] // (SEGMENT_S * ticks) for name, ticks in MADE.items())

    async def follow(self, site: Site) -> None:
        async for message in site.bus.tail(MEDIA_STREAM, [media(BROADCAST, name) for name in MADE], 1):
            name = message.subject.rpartition(".")[2]
            header = ChunkHeader.decode(message.headers[CHUNK_HEADER])
            if header.duration:
                assert header.dts == self.ends.get(name, header.dts), f"{name}: a frame is missing or doubled"
                self.ends[name] = header.dts + header.duration
                self._came.set()

    async def reached(self, segments: int, following: "asyncio.Future[None]") -> None:
        while self.segments < segments:
            self._came.clear()
            coming = asyncio.ensure_future(self._came.wait())
            await asyncio.wait({coming, following}, timeout=STUCK_S, return_when=asyncio.FIRST_COMPLETED)
            coming.cancel()
            if following.done():
                following.result()
            assert self._came.is_set(), f"stuck at {self.ends}"


def sources() -> Iterator[tuple[Source, Rendition]]:
    picture = picture_source("libx264", GOP, GOP)
    yield Source(SOURCE, picture.samples, picture.form, 90_000), h264_record(picture, 320, 180)
    sound = sound_source("libopus", SEGMENT_S + 1.0, SOUND_HZ, ())
    heard = [sample for sample in sound.samples if sample.end <= SEGMENT_S * SOUND_HZ]
    track = AudioTrack(
        config=b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0", timescale=SOUND_HZ, channels=2, entry="Opus"
    )
    described = AudioFormat(codec="opus", sample_rate=SOUND_HZ, channels=2)
    opus = Init(init=0, data=init_segment(track), audio=described)
    record = Rendition(broadcast_id=BROADCAST, name=AUDIO, timescale=SOUND_HZ, bandwidth=100_000, inits=[opus])
    yield Source(AUDIO, heard, sound.form, SOUND_HZ), record


def memory_mb(pid: int) -> float:
    """What is the process's own: pages of files are shared with others."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024


async def test_a_long_broadcast_takes_no_more_memory_than_a_short_one(bus: Bus, server: NatsServer) -> None:
    site = await make_site(bus)
    made, quarters, began = Made(), [], time.monotonic()
    given = await asyncio.to_thread(lambda: list(sources()))
    for _, record in given:
        await site.put(record)
    await site.put(live(has_audio=True, audio="aac", ladder=["180p", "160p"]))
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.transcode.soak_worker", server.endpoint.url,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    following = asyncio.ensure_future(made.follow(site))
    try:
        assert worker.stdin is not None
        for msn in range(SEGMENTS):
            for source, _ in given:
                await site.append(source.rendition, source.segment(msn))
            await made.reached(msn + 1 - AHEAD, following)
            if (msn + 1) % (SEGMENTS // 4) == 0:
                quarters.append(memory_mb(worker.pid))
        print(
            f"soak: {made.segments * SEGMENT_S} s in {time.monotonic() - began:.0f} s, "
            f"MB at the quarters {', '.join(f'{value:.1f}' for value in quarters)}"
        )
        worker.stdin.close()
        assert await worker.wait() == 0
    finally:
        following.cancel()
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
    assert quarters[3] - quarters[0] < GROWTH_MB, quarters
