"""`./nearcast bench [NAME [--OPTION=VALUE ...] ...]`: runs the named measurements, or lists them."""

import importlib
import io
import signal
import sys
from types import FrameType

BENCHES = {
    "transcode": "CPU and picture of the ladder against ffmpeg, lateness, memory and take-over of a node",
    "latency": "picture to picture in Chromium with hls.js, against the part target's limit",
    "whep": "WebRTC viewers: CPU of a packet against plain sendto, picture to picture in Chromium",
    "ingest": "CPU, memory and lateness of the way in against nginx-rtmp writing HLS",
    "whip": "WebRTC publishers: CPU of a session against its packets' least, how soon it is there",
    "footprint": "start-up time and idle memory of a whole node",
    "delivery": "playlists and parts over HTTP/1.1, TLS and HTTP/2 against nginx, memory of held requests",
    "origin_herd": "answers to a herd of held playlist requests",
    "chat_soak": "a room talked in for an hour: what is lost, and the memory of each process",
    "viewers": "10 000 low-latency viewers of 50 broadcasts: lateness of parts, CPU, memory",
    "chat": "chat fan-out against a C program and nchan; a storm of connects, memory, slow clients",
}


def main(names: list[str]) -> int:
    """1 when a name is unknown or a measurement missed its target."""
    if not names:
        for name, text in BENCHES.items():
            print(f"{name:<12} {text}")
        return 0
    worst = 0
    if isinstance(sys.stdout, io.TextIOWrapper):  # into a file too: what was found is not to be lost with the run
        sys.stdout.reconfigure(line_buffering=True)
    for name, options in _with_options(names):
        if name not in BENCHES:
            print(f"unknown measurement {name}; there are: {', '.join(BENCHES)}", file=sys.stderr)
            return 2
        bench = importlib.import_module(f"tests.bench.{name}")
        worst = max(worst, bench.main(options) if options else bench.main())
    return worst


def _with_options(arguments: list[str]) -> list[tuple[str, list[str]]]:
    """Each name with the options that follow it."""
    found: list[tuple[str, list[str]]] = []
    for argument in arguments:
        if argument.startswith("--") and found:
            found[-1][1].append(argument)
        else:
            found.append((argument, []))
    return found


def _leave(number: int, _frame: FrameType | None) -> None:
    """As Ctrl-C does: whatever was started is ended on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    sys.exit(main(sys.argv[1:]))
