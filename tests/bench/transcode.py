"""CPU of our ladder against an ffmpeg process doing the same ladder, both in real time, in turns in one run.

Both decode the same 1080p30 6 Mbit/s clip once with one thread, copy the source, and encode 720p, 480p and
360p with x264 superfast, zero latency, one thread each, a key frame at each source key frame.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.media.ladder import Rung
    from edge.transcode.engines.lineup import Lineup

TARGET = 1.05
ROUNDS = 2
SECONDS = 30
RUNGS = ((1280, 720, 3000), (854, 480, 1500), (640, 360, 800))


def make_clip(path: Path) -> None:
    """A clip that is not easy to encode: moving test picture with noise."""
    argv = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s=1920x1080:r=30:d={SECONDS}"]
    argv += ["-vf", "noise=alls=12:allf=t", "-c:v", "libx264", "-preset", "veryfast", "-b:v", "6M"]
    argv += ["-maxrate", "6M", "-bufsize", "6M", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0"]
    argv += ["-bf", "0", "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(argv, check=True)


def ffmpeg(clip: Path) -> None:
    """The peer."""
    split = "[0:v]split=3[a][b][c];[a]scale=1280:720:flags=bicubic[x];[b]scale=854:480:flags=bicubic[y];"
    split += "[c]scale=640:360:flags=bicubic[z]"
    argv = ["ffmpeg", "-v", "error", "-y", "-threads", "1", "-filter_complex_threads", "1"]
    argv += ["-re", "-i", str(clip)]
    argv += ["-filter_complex", split, "-map", "0:v", "-c:v", "copy", "-f", "mp4"]
    argv += ["-movflags", "frag_keyframe+empty_moov", "/dev/null"]
    for label, (_, _, rate) in zip("xyz", RUNGS, strict=True):
        argv += ["-map", f"[{label}]", "-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency"]
        argv += ["-profile:v", "high", "-threads", "1", "-b:v", f"{rate}k", "-maxrate", f"{rate}k"]
        argv += ["-bufsize", f"{rate}k", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0"]
        argv += ["-x264-params", "vbv-init=0.5", "-f", "mp4", "-movflags", "frag_keyframe+empty_moov", "/dev/null"]
    subprocess.run(argv, check=True)


def _lineup(rung: "Rung") -> "Lineup":
    from edge.transcode.engines.base import RungFormat
    from edge.transcode.engines.catalogue import candidates
    from edge.transcode.engines.lineup import Lineup

    form = RungFormat(rung.width, rung.height, rung.bit_rate, rung.frame_rate, "superfast")
    return Lineup(form, candidates(["x264"]))


def ours(clip: str) -> None:
    """The product's decoder, rungs, segmenter and packager, in this process."""
    import av

    from appliance.contracts.media import ChunkFlag, ChunkHeader
    from edge.media.ladder import plan_ladder
    from edge.media.segmenter import SegmenterConfig
    from edge.protocols.fmp4 import Sample, fragment
    from edge.transcode.chunks import SourceChunk
    from edge.transcode.forms import VideoForm
    from edge.transcode.pipeline import Pipeline
    from edge.transcode.resume import RungPosition
    from edge.transcode.rung import RungWorker

    errors: list[BaseException] = []
    form = SegmenterConfig(
        timescale=90_000, part_target=31_500, segment_target=180_000, max_segment=360_000, given_boundaries=True
    )
    sizes: list[int] = []
    rungs = [
        RungWorker(
            rung,
            _lineup(rung),
            form,
            RungPosition(None, 0, 0),
            lambda output: sizes.append(len(output.data)),
            errors.append,
        )
        for rung in plan_ladder(1920, 1080, (30, 1))
    ]
    room = threading.Semaphore(16)
    pipeline = Pipeline(rungs, room.release, errors.append)
    pipeline.start()
    with av.open(clip) as source:
        stream = source.streams.video[0]
        source_form = VideoForm("h264", bytes(stream.codec_context.extradata or b""), (30, 1))
        samples: list[Sample] = []
        msn = part = serial = -1
        began = time.monotonic()
        for packet in source.demux(stream):
            if packet.pts is None:
                continue
            scale = 90_000 * packet.time_base
            sample = Sample(int(packet.dts * scale), 3000, 0, packet.is_keyframe, bytes(packet))
            if samples and (len(samples) == 3 or sample.key):
                room.acquire()
                first = samples[0]
                time.sleep(max(0.0, began + first.dts / 90_000 - time.monotonic()))
                part = 0 if first.key else part + 1
                msn += first.key
                serial += 1
                data = fragment(1, serial, first.dts, samples)
                header = ChunkHeader(1, msn, part, 0, serial, ChunkFlag.NONE, first.dts, 9000, 0, 0)
                pipeline.put(SourceChunk(serial + 1, header, data, source_form))
                samples = []
            samples.append(sample)
    pipeline.drain()
    pipeline.stop()
    assert not errors, errors
    assert len(sizes) > SECONDS * 8


def _cpu(work: list[str] | None, clip: Path) -> tuple[float, float]:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    if work is None:
        ffmpeg(clip)
    else:
        subprocess.run(work, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - began


def main() -> int:
    """Prints CPU and wall ratios."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip)
        own = [sys.executable, "-c", f"from tests.bench.transcode import ours; ours({str(clip)!r})"]
        pairs = [(_cpu(own, clip), _cpu(None, clip)) for _ in range(ROUNDS)]
    ratios = [mine[0] / peer[0] for mine, peer in pairs]
    walls = [mine[1] / peer[1] for mine, peer in pairs]
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    cores = statistics.median(mine[0] for mine, _ in pairs) / SECONDS
    ratio = statistics.median(ratios)
    each = ", ".join(f"{value:.3f}" for value in ratios)
    print(f"transcode: CPU {ratio:.3f}x ffmpeg {version} ({each}), target {TARGET}")
    print(f"transcode: {cores:.3f} cores for one real-time ladder; wall {statistics.median(walls):.3f}x")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
