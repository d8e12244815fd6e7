"""WebRTC publishers: CPU of a session beside the least that its packets cost, and how soon it is there.

    ./nearcast bench whip [--sessions=20] [--seconds=10]

FFmpeg's newest libraries copy a clip of 3 Mbit/s with Opus, `sessions` times, over the loopback. What counts is the
CPU of the ingest process beyond idle. In the same run as many packets of the same size are taken from a socket and
decrypted, with nothing around it. "First part": from the start of the sender until the playlist has a part.
"""

import argparse
import datetime as dt
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import NamedTuple

from pylibsrtp import Policy, Session

from appliance.engines.certificate import self_signed
from tests.bench.ingest_publishers import cpu_of
from tests.e2e.e2e_node import Channel, Node

CPU_TARGET = 0.007  # of a core
CONNECT_TARGET_S = 0.15
PART_TARGET_S = 1.5
IDLE_S = 5.0
SETTLE_S = 4.0
PACKET = 1200  # bytes
RATE = 3_000_000
_BATCH = 100
_SO_TIMESTAMPNS = 35
_KEY = bytes(range(28))


class Sender(NamedTuple):
    """One publisher and its channel."""

    channel: Channel
    process: subprocess.Popen[bytes]
    began: float


def main(argv: list[str] | None = None) -> int:
    """Prints the figures; 1 when one misses its target."""
    parser = argparse.ArgumentParser(prog="nearcast bench whip")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args(argv or [])
    node = Node({"NEARCAST__TRANSCODE__ENABLED": "no"})
    with tempfile.TemporaryDirectory(prefix="nearcast-bench-") as folder:
        clip = _clip(Path(folder), SETTLE_S + options.seconds + 8 * options.sessions)
        node.start()
        try:
            return _measure(node, clip, options.sessions, options.seconds)
        finally:
            node.remove()


def _measure(node: Node, clip: Path, sessions: int, seconds: float) -> int:
    ingest = node.roles()["ingest"].pid
    assert ingest is not None
    idle = _cpu(ingest, IDLE_S)
    senders: list[Sender] = []
    try:
        first = [
            _until_part(node, one) for one in (_start(node, clip, senders, index) for index in range(sessions))
        ]
        time.sleep(SETTLE_S)
        each = (_cpu(ingest, seconds) - idle) / sessions
        if over := [one.process.returncode for one in senders if one.process.poll() is not None]:
            raise RuntimeError(f"{len(over)} senders ended, exit codes {over}")
        connect = _connect_s(node)
    finally:
        for one in senders:
            one.process.terminate()
            one.process.wait(10)
    least = _least(seconds)
    worst = max(first)
    cost = f"CPU {100 * each:.2f} % of a core a session, {each / least:.1f}x of its packets' least"
    found = [
        (f"{cost} ({100 * least:.2f} %), target {100 * CPU_TARGET:.1f} %", each <= CPU_TARGET),
        (f"connected in {1000 * connect:.0f} ms, target {1000 * CONNECT_TARGET_S:.0f}", connect < CONNECT_TARGET_S),
        (f"first part after {worst:.2f} s at most, target {PART_TARGET_S}", worst < PART_TARGET_S),
    ]
    for words, good in found:
        print(f"whip: {sessions} x 3 Mbit/s: {words} {'PASS' if good else 'FAIL'}")
    return int(not all(good for _, good in found))


def _clip(folder: Path, seconds: float) -> Path:
    """A constant rate, a key frame a second; Opus."""
    path = folder / "clip.mkv"
    argv = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s=1280x720:r=30:d={seconds}"]
    argv += ["-f", "lavfi", "-i", f"sine=r=48000:d={seconds}", "-vf", "noise=alls=12:allf=t", "-ac", "2"]
    argv += ["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-g", "30"]
    argv += ["-b:v", str(RATE), "-minrate", str(RATE), "-maxrate", str(RATE), "-bufsize", str(RATE)]
    argv += ["-x264-params", "nal-hrd=cbr:force-cfr=1:scenecut=0", "-c:a", "libopus", "-b:a", "64k", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


def _start(node: Node, clip: Path, senders: list[Sender], index: int) -> Sender:
    channel = node.channel(f"whip{index}")
    files = self_signed(clip.parent / f"tls{index}", ["encoder"], dt.datetime.now(dt.UTC))
    argv = [sys.executable, "-m", "tests.media_tools.libav_publisher", str(clip), f"{node.web}/whip"]
    argv += [f"authorization={channel.key}", f"cert_file={files.certificate}", f"key_file={files.key}"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    senders.append(Sender(channel, process, time.monotonic()))
    return senders[-1]


def _until_part(node: Node, sender: Sender) -> float:
    """Seconds until a part of the source can be had. TimeoutError."""
    url = node.hls(sender.channel.name)
    while time.monotonic() - sender.began < 20:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                media = re.search(r"^[^#\n]\S*$", answer.read().decode(), re.MULTILINE)
            if media is not None:
                with urllib.request.urlopen(
                    urllib.parse.urljoin(url, f"{media[0]}?_HLS_msn=0&_HLS_part=0"), timeout=5
                ) as answer:
                    if b"#EXT-X-PART:" in answer.read():
                        return time.monotonic() - sender.began
        except urllib.error.HTTPError as error:
            error.close()
        time.sleep(0.01)
    raise TimeoutError(f"{url} has no part")


def _connect_s(node: Node) -> float:
    with urllib.request.urlopen(node.endpoint("metrics"), timeout=5) as answer:
        text = answer.read().decode()
    found = {
        name: re.search(rf"^nearcast_ingest_whip_connect_seconds_{name}\S* (\S+)", text, re.M)
        for name in ("sum", "count")
    }
    assert found["sum"] and found["count"]
    return float(found["sum"][1]) / float(found["count"][1])


def _cpu(pid: int, seconds: float) -> float:
    """Share of a core in the time to come."""
    before, began = cpu_of(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_of(pid) - before) / (time.monotonic() - began)


def _least(seconds: float) -> float:
    """Share of a core to take and decrypt the packets of one session, which come one by one."""
    ours, theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        ours.bind(("127.0.0.1", 0))
        theirs.connect(ours.getsockname())
        protect, unprotect = (
            Session(Policy(key=_KEY, ssrc_type=kind, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM))
            for kind in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND)
        )
        used, count = 0.0, round(RATE / 8 / PACKET * seconds)
        for first in range(0, count, _BATCH):
            for number in range(first, first + _BATCH):
                head = b"\x80\x60" + (number & 0xFFFF).to_bytes(2, "big") + number.to_bytes(4, "big") + bytes(4)
                theirs.send(protect.protect(head + os.urandom(PACKET - 12)))
            began = time.thread_time()
            for _ in range(_BATCH):
                unprotect.unprotect(ours.recvmsg(2048, 64)[0])
            used += time.thread_time() - began
    return used / seconds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
