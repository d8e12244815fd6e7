"""Runs one target: with atheris and its coverage where that is installed, else with plain mutations."""

import argparse
import hashlib
import importlib
import importlib.util
import random
import sys
import tempfile
import time
from pathlib import Path

_MAX_BYTES = 8192


def main() -> int:
    """0 when nothing broke in the time given."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is not None:
        return _with_coverage(options.target, options.seconds, options.seed)
    return _plain(options.target, options.seconds, options.seed)


def _with_coverage(name: str, seconds: int, seed: int) -> int:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["edge"]):
        targets = importlib.import_module("tests.fuzz.targets")
    target = targets.TARGETS[name]
    kept = targets.FOUND / name
    kept.mkdir(parents=True, exist_ok=True)
    corpus = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for seed_data in target.seeds:
        (corpus / hashlib.sha1(seed_data, usedforsecurity=False).hexdigest()).write_bytes(seed_data)
    arguments = [sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={_MAX_BYTES}"]

    def run(data: bytes) -> None:
        _keeping(target.run, data, kept)

    atheris.Setup(arguments, run)
    atheris.Fuzz()
    return 0


def _plain(name: str, seconds: int, seed: int) -> int:
    targets = importlib.import_module("tests.fuzz.targets")
    target = targets.TARGETS[name]
    generator = random.Random(seed)
    pool: list[bytes] = list(target.seeds)
    end, runs = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        data = _mutated(generator, generator.choice(pool), generator.choice(pool))
        _keeping(target.run, data, targets.FOUND / name)
        runs += 1
        if generator.random() < 0.01:
            pool[len(target.seeds) :] = [*pool[len(target.seeds) :], data][-200:]
    sys.stdout.write(f"{name}: {runs} inputs, nothing broke\n")
    return 0


def _keeping(run: object, data: bytes, kept: Path) -> None:
    """Runs and writes the input down when it breaks something."""
    try:
        run(data)  # type: ignore[operator]  # a Callable, known at run time only
    except Exception:
        kept.mkdir(parents=True, exist_ok=True)
        (kept / f"{hashlib.sha1(data, usedforsecurity=False).hexdigest()[:16]}.bin").write_bytes(data)
        raise


def _mutated(generator: random.Random, data: bytes, other: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(generator.randint(1, 6)):
        at = generator.randint(0, len(out))
        kind = generator.randint(0, 4)
        if kind == 0 and at < len(out):
            out[at] = generator.choice((0, 1, 0x7F, 0x80, 0xFF, generator.randint(0, 255)))
        elif kind == 1 and at < len(out):
            out[at] ^= 1 << generator.randint(0, 7)
        elif kind == 2:
            del out[at : at + generator.randint(1, 16)]
        elif kind == 3:
            out[at:at] = generator.randbytes(generator.randint(1, 16))
        else:
            start = generator.randint(0, len(other))
            out[at:at] = other[start : start + generator.randint(1, 200)]
    return bytes(out[:_MAX_BYTES])


if __name__ == "__main__":
    sys.exit(main())
