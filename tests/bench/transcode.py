"""CPU and picture of our ladder against the newest ffmpeg program doing the same ladder, in turns in one run.

Both in real time. Both decode the same 1080p30 6 Mbit/s clip once with one thread, copy the source, and encode
720p, 480p and 360p with x264 superfast, zero latency, one thread each, a key frame at each source key frame.
What a process takes to start, an interpreter and its modules or a program, is told apart: a broadcast lasts hours.
Both also do the clip's first seconds alone, and the difference is what the rest of it costs.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.bench import newest_ffmpeg, transcode_live

if TYPE_CHECKING:
    from edge.media.ladder import Rung
    from edge.transcode.engines.lineup import Lineup
    from edge.transcode.pipeline import Pipeline
    from edge.transcode.rung import RungWorker

TARGET = 1.0
PSNR_DB = 0.1  # ours may be worse by so much
ROUNDS = 3
SECONDS, BRIEF_S = 30, 2
AHEAD = 16  # chunks on their way to our decoder, as the product's reader has them
RUNGS = ((1280, 720, 3000), (854, 480, 1500), (640, 360, 800))


def make_clip(path: Path) -> None:
    """A clip that is not easy to encode: moving test picture with noise."""
    argv = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s=1920x1080:r=30:d={SECONDS}"]
    argv += ["-vf", "noise=alls=12:allf=t", "-c:v", "libx264", "-preset", "veryfast", "-b:v", "6M"]
    argv += ["-maxrate", "6M", "-bufsize", "6M", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0"]
    argv += ["-bf", "0", "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(argv, check=True)


def ffmpeg(program: str, clip: Path, target: str) -> None:
    """The peer. The rungs go to files of their names in the folder `target`, nowhere without one."""
    split = "[0:v]split=3[a][b][c];[a]scale=1280:720:flags=bicubic[x];[b]scale=854:480:flags=bicubic[y];"
    split += "[c]scale=640:360:flags=bicubic[z]"
    argv = [program, "-v", "error", "-y", "-threads", "1", "-filter_complex_threads", "1"]
    argv += [*([] if target else ["-re"]), "-i", str(clip)]
    argv += ["-filter_complex", split, "-map", "0:v", "-c:v", "copy", "-f", "mp4"]
    argv += ["-movflags", "frag_keyframe+empty_moov", "/dev/null"]
    for label, (_, height, rate) in zip("xyz", RUNGS, strict=True):
        file = f"{target}/theirs-{height}.mp4" if target else "/dev/null"
        argv += ["-map", f"[{label}]", "-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency"]
        argv += ["-profile:v", "high", "-threads", "1", "-b:v", f"{rate}k", "-maxrate", f"{rate}k"]
        argv += ["-bufsize", f"{rate}k", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0"]
        argv += ["-x264-params", "vbv-init=0.5", "-f", "mp4", "-movflags", "frag_keyframe+empty_moov", file]
    subprocess.run(argv, check=True)


def _lineup(rung: "Rung") -> "Lineup":
    from edge.transcode.engines.base import RungFormat
    from edge.transcode.engines.catalogue import candidates
    from edge.transcode.engines.lineup import Lineup

    form = RungFormat(rung.width, rung.height, rung.bit_rate, rung.frame_rate, "superfast")
    return Lineup(form, candidates(["x264"]))


def ours(clip: str, target: str = "") -> None:
    """The product's decoder, rungs, segmenter and packager, in this process; with files as `ffmpeg`."""
    import av

    from appliance.contracts.media import ChunkFlag, ChunkHeader
    from edge.media.ladder import plan_ladder
    from edge.media.segmenter_config import SegmenterConfig
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
    made: dict[str, list[bytes]] = {}
    rungs = [
        RungWorker(
            rung,
            _lineup(rung),
            form,
            RungPosition(None, 0, 0),
            lambda output: made.setdefault(output.rung, []).append(output.data),
            errors.append,
        )
        for rung in plan_ladder(1920, 1080, (30, 1))
    ]
    pipeline = Pipeline(rungs, (room := threading.Semaphore(AHEAD)).release, errors.append)
    pipeline.start()
    with av.open(clip) as source:
        stream = source.streams.video[0]
        source_form = VideoForm("h264", bytes(stream.codec_context.extradata or b""), (30, 1))
        samples: list[Sample] = []
        msn = part = serial = -1
        began = time.monotonic()
        for packet in source.demux(stream):
            is_over = packet.dts is None
            if samples and (len(samples) == 3 or is_over or packet.is_keyframe):
                room.acquire()
                first = samples[0]
                time.sleep(0.0 if target else max(0.0, began + first.dts / 90_000 - time.monotonic()))
                part = 0 if first.key else part + 1
                msn += first.key
                serial += 1
                data = fragment(1, serial, first.dts, samples)
                header = ChunkHeader(1, msn, part, 0, serial, ChunkFlag.NONE, first.dts, 9000, 0, 0)
                pipeline.put(SourceChunk(serial + 1, header, data, source_form))
                samples = []
            if not is_over:
                dts = int(packet.dts * 90_000 * packet.time_base)
                samples.append(Sample(dts, 3000, 0, packet.is_keyframe, bytes(packet)))
    _stop(pipeline, room)
    assert not errors, errors
    assert sum(len(parts) for parts in made.values()) >= 8 * (pipeline.usage()["decode"].media_s - 1)
    for worker in rungs if target else []:
        _write(worker, made[worker.rung.name], target)


def _stop(pipeline: "Pipeline", room: threading.Semaphore) -> None:
    """Once everything is decoded: what is left then is soon done, on a busy machine too."""
    for _ in range(AHEAD):
        room.acquire()
    pipeline.drain()
    pipeline.stop()


def _write(worker: "RungWorker", parts: list[bytes], target: str) -> None:
    from edge.protocols.fmp4 import VideoTrack, init_segment

    rung = worker.rung
    init = init_segment(VideoTrack(config=worker.config, width=rung.width, height=rung.height))
    Path(target, f"ours-{rung.height}.mp4").write_bytes(init + b"".join(parts))


def psnr(program: str, clip: Path, made: Path, size: tuple[int, int]) -> float:
    """dB of a rung against the source scaled as both scale it."""
    compare = f"[1:v]scale={size[0]}:{size[1]}:flags=bicubic,settb=1/90000,setpts=N*3000[s];"
    compare += "[0:v]settb=1/90000,setpts=N*3000[m];[m][s]psnr"
    argv = [program, "-i", str(made), "-i", str(clip), "-lavfi", compare, "-f", "null", "-"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stderr
    return float(said.rpartition("average:")[2].split()[0])


def compare_pictures(program: str, clip: Path, folder: Path) -> bool:
    """Prints PSNR of each rung of both; whether ours is as good."""
    ffmpeg(program, clip, str(folder))
    _ours_apart(clip, str(folder))
    good = True
    for width, height, _ in RUNGS:
        size = width, height
        mine, theirs = (psnr(program, clip, folder / f"{who}-{height}.mp4", size) for who in ("ours", "theirs"))
        good &= mine >= theirs - PSNR_DB
        print(f"transcode: {height}p PSNR {mine:.2f} dB, ffmpeg {theirs:.2f} dB, may differ by {PSNR_DB}")
    return good


class _Cost(NamedTuple):
    """Of one of the two, in seconds; `start` is CPU."""

    cpu: float
    wall: float
    start: float


def _cost(program: str, clip: Path, brief: Path) -> _Cost:
    """What the clip beyond the brief one costs; with `program` its own, else ours."""
    (less, sooner), (more, later) = _used(program, brief), _used(program, clip)
    each = (more - less) / (SECONDS - BRIEF_S)
    return _Cost(more - less, later - sooner, max(0.0, less - BRIEF_S * each))


def _used(program: str, clip: Path) -> tuple[float, float]:
    """CPU and wall seconds of a process from its start to its end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    if program:
        ffmpeg(program, clip, "")
    else:
        _ours_apart(clip)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - began


def _ours_apart(clip: Path, target: str = "") -> None:
    code = f"from tests.bench.transcode import ours; ours({str(clip)!r}, {target!r})"
    subprocess.run([sys.executable, "-c", code], check=True)


def _report(pairs: list[tuple[_Cost, _Cost]], ratio: float, version: str) -> None:
    each = ", ".join(f"{mine.cpu / peer.cpu:.3f}" for mine, peer in pairs)
    cores = statistics.median(mine.cpu for mine, _ in pairs) / (SECONDS - BRIEF_S)
    wall = statistics.median(mine.wall / peer.wall for mine, peer in pairs)
    starts = [statistics.median(pair[who].start for pair in pairs) for who in (0, 1)]
    print(f"transcode: CPU {ratio:.3f}x ffmpeg {version} ({each}), target {TARGET}")
    print(f"transcode: {cores:.3f} cores for one real-time ladder; wall {wall:.3f}x")
    print(f"transcode: CPU of a start {starts[0]:.2f} s, ffmpeg {starts[1]:.2f} s")


def main() -> int:
    """Prints CPU and wall ratios, PSNR, and what a node with one ladder does."""
    program = newest_ffmpeg.program()
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip)
        brief = Path(folder) / "brief.mp4"
        cut = ["ffmpeg", "-v", "error", "-y", "-i", str(clip), "-t", str(BRIEF_S), "-c", "copy", str(brief)]
        subprocess.run(cut, check=True)
        pairs = [(_cost("", clip, brief), _cost(program, clip, brief)) for _ in range(ROUNDS)]
        same = compare_pictures(program, clip, Path(folder))
    ratio = statistics.median(mine.cpu / peer.cpu for mine, peer in pairs)
    _report(pairs, ratio, newest_ffmpeg.version(program))
    return max(0 if ratio <= TARGET and same else 1, transcode_live.main())


if __name__ == "__main__":
    sys.exit(main())
