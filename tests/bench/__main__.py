"""`./nearcast bench [NAME ...]`: runs the named measurements, or lists them."""

import importlib
import sys

BENCHES = {
    "transcode": "CPU of the ladder against ffmpeg doing the same ladder",
    "latency": "picture to picture in Chromium with hls.js, against the part target's limit",
    "footprint": "start-up time and idle memory of a whole node",
    "origin_herd": "answers to a herd of held playlist requests",
    "chat_fanout": "chat deliveries per second",
}


def main(names: list[str]) -> int:
    """1 when a name is unknown or a measurement missed its target."""
    if not names:
        for name, text in BENCHES.items():
            print(f"{name:<12} {text}")
        return 0
    worst = 0
    for name in names:
        if name not in BENCHES:
            print(f"unknown measurement {name}; there are: {', '.join(BENCHES)}", file=sys.stderr)
            return 2
        worst = max(worst, importlib.import_module(f"tests.bench.{name}").main())
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
