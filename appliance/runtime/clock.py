"""The only place that reads the wall clock for the roles; cores are given `now` instead."""

import time


def now_us() -> int:
    """Unix time in microseconds."""
    return time.time_ns() // 1000


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
