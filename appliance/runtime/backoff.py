"""Waiting times for retries: exponential, capped, with full jitter so that a herd spreads out."""

import random


class Backoff:
    """Delays between tries, in seconds. `reset` after a success."""

    def __init__(self, first_s: float = 0.1, cap_s: float = 5.0) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._tries = 0

    def next_delay(self) -> float:
        """How long to wait before the next try."""
        bound = min(self._cap_s, self._first_s * (1 << min(self._tries, 16)))
        self._tries += 1
        return bound * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        self._tries = 0
