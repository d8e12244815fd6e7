"""Whatever happens to transcoders, every picture is in every rung once, and whoever watches a rung goes on.

`NEARCAST_FAULTS` is how many faults come (10), `NEARCAST_SEED` which: it is printed, to have a run again.
`NEARCAST_FAULT_KINDS` are the kinds, with commas (all).
"""

import asyncio
import hashlib
import itertools
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.e2e_checks import VIDEO, assert_nothing_missing, assert_playlists_honest, assert_same_segments
from tests.e2e.e2e_node import Node
from tests.fault.audience import Audience
from tests.fault.faults import Fault, Saboteur
from tests.media_tools.clips import ClipMaker
from tests.media_tools.frames import pictures
from tests.media_tools.hls_client import HlsRecorder, Track
from tests.media_tools.publisher import Publisher

FAULTS = int(os.environ.get("NEARCAST_FAULTS", "10"))
SEED = int(os.environ.get("NEARCAST_SEED") or random.SystemRandom().randrange(1 << 32))
KINDS = tuple(os.environ.get("NEARCAST_FAULT_KINDS", ",".join(Saboteur.KINDS)).split(","))
RUNGS = VIDEO[1:]
_EACH_S = 9  # of the clip for one fault, on average
_LEVEL_S = 1.5  # a rendition that is no further behind than this is level
_AFTER_S = 0.5  # of media from after the fault: then it has recovered
_RECOVER_S = 25.0  # then the next fault comes all the same: a slow machine is no failure
_OVER_S = 180.0

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240 + 40 * FAULTS)]


def sequence_of(chance: random.Random, count: int) -> list[str]:
    """Each kind as often as any other, in any order."""
    kinds = [*KINDS] * (count // len(KINDS) + 1)
    chosen = kinds[:count]
    chance.shuffle(chosen)
    return chosen


async def recover(recorder: HlsRecorder, behind: dict[str, float]) -> float:
    """Until each rendition has media from after now and is as far as the clock asks; the time at which it was."""
    over = time.monotonic()
    until = over + _RECOVER_S
    while True:
        now = time.monotonic()
        recorder.raise_failure()
        reached = min(track.seconds + behind[name] for name, track in recorder.tracks.items())
        if (now - reached < _LEVEL_S and reached - over > _AFTER_S) or now > until:
            return now
        await asyncio.sleep(0.1)


def lateness(recorder: HlsRecorder) -> dict[str, float]:
    """For each rendition the monotonic time at which its first moment was due."""
    now = time.monotonic()
    return {name: now - track.seconds for name, track in recorder.tracks.items()}


def gap_of(track: Track, begin: float, end: float) -> float:
    """Longest time between two parts, of those that ended within (begin, end]."""
    times = [unit.at for unit in track.units]
    return max((b - a for a, b in itertools.pairwise(times) if begin < b <= end), default=0.0)


async def test_random_faults(fresh_node: Callable[..., Node], clips: ClipMaker, tmp_path: Path) -> None:
    print(f"NEARCAST_SEED={SEED} NEARCAST_FAULTS={FAULTS}")
    chance = random.Random(SEED)
    clip = clips.clip(FAULTS * _EACH_S + 35)
    node = fresh_node(NEARCAST__TRANSCODE__WORKERS="2")
    channel = node.channel("fault")
    with Publisher(clip, channel.publish_url) as publisher:
        async with HlsRecorder(node.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(4, 30)
            due = lateness(recorder)
            rungs = {name: recorder.tracks[name].url for name in RUNGS}
            async with Audience(node.hls(channel), tmp_path, rungs) as audience:
                done = await inflict(sequence_of(chance, FAULTS), chance, node, publisher, recorder, due)
                fared = await audience.check()
            publisher.stop()
            await recorder.wait_over(_OVER_S)
    report(recorder, done)
    print(f"  {fared}")
    assert len(done) > FAULTS // 2, "the clip was over too early"


async def inflict(
    kinds: list[str],
    chance: random.Random,
    node: Node,
    publisher: Publisher,
    recorder: HlsRecorder,
    due: dict[str, float],
) -> list[tuple[Fault, float]]:
    """One fault after the other, and for each when all was level again. Ends with the clip, ahead of its end."""
    done: list[tuple[Fault, float]] = []
    saboteur, bus = await Saboteur.connect(node, recorder.broadcast)
    try:
        for kind in kinds:
            await asyncio.sleep(chance.uniform(0.2, 2.2))
            fault = await saboteur.do(kind)
            done.append((fault, await recover(recorder, due)))
            if not publisher.running:
                break
    finally:
        await bus.close()
    return done


def report(recorder: HlsRecorder, done: list[tuple[Fault, float]]) -> None:
    """Says how it went in one line, then demands that nothing was lost."""
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    shown = {name: [picture.number for picture in pictures(recorder.tracks[name])] for name in VIDEO}
    last = shown["source"][-1]
    missing: dict[str, list[int]] = {}
    doubled: dict[str, list[int]] = {}
    for name in VIDEO:
        counts = Counter(shown[name])
        missing[name] = [number for number in range(last + 1) if not counts[number]]
        doubled[name] = [number for number, count in counts.items() if count > 1]
    gaps = {(fault, end): max(gap_of(recorder.tracks[n], fault.at, end) for n in RUNGS) for fault, end in done}
    taken = [gap for (fault, _), gap in gaps.items() if fault.kind in Saboteur.TAKE_OVERS] or [0.0]
    for kind in KINDS:
        found = [gap for (fault, _), gap in gaps.items() if fault.kind == kind]
        if found:
            each = ", ".join(f"{gap:.2f}" for gap in sorted(found))
            print(f"  {kind}: {len(found)} times, longest gap between parts up to {max(found):.2f} s ({each})")
    print(
        f"faults {len(done)} seed {SEED}: pictures {last + 1}, missing {sum(map(len, missing.values()))}, "
        f"doubled {sum(map(len, doubled.values()))}, take-over median {statistics.median(taken):.2f} s, "
        f"max {max(taken):.2f} s"
    )
    assert not any(missing.values()), {name: numbers[:20] for name, numbers in missing.items()}
    assert not any(doubled.values()), {name: numbers[:20] for name, numbers in doubled.items()}
    assert all(numbers == sorted(numbers) for numbers in shown.values()), "pictures out of order"
    assert_whole(recorder)


def assert_whole(recorder: HlsRecorder) -> None:
    """Segments contiguous and equal, one initialisation segment throughout."""
    for name in VIDEO:
        track = recorder.tracks[name]
        msns = sorted(track.segments())
        assert msns == list(range(msns[0], msns[-1] + 1)), f"{name}: segments {msns}"
        hashes = {hashlib.sha256(data).hexdigest() for data in track.inits.values()}
        assert len(hashes) == len(track.inits) == 1, f"{name}: {len(track.inits)} initialisation segments"
    assert_same_segments(recorder)
