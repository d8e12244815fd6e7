"""How long a callback held the event loop by its own fault.

What a machine that runs the tests adds is taken off: waits for a core, and collections of a heap that thousands of
tests have left behind.
"""

import gc
import os
import threading
import time

_FULL = 2  # the generation whose collection looks at everything the session holds


class LoopClock:
    """Runs in the thread of the loop; all times in seconds."""

    def __init__(self) -> None:
        self._collecting_since = 0.0
        self._collected = 0.0
        try:
            self._waits = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        except OSError:
            self._waits = -1

    def start(self) -> None:
        """Begins to take the time of full collections."""
        gc.callbacks.append(self._collection)

    def stop(self) -> None:
        """Ends it, and gives the descriptor back."""
        gc.callbacks.remove(self._collection)
        if self._waits >= 0:
            os.close(self._waits)

    def now(self) -> float:
        """The time that this thread could have used: it stands still while others have the core."""
        return time.monotonic() - self._collected - self._waited()

    def _waited(self) -> float:
        if self._waits < 0:
            return 0.0
        return int(os.pread(self._waits, 64, 0).split()[1]) / 1e9

    def _collection(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] != _FULL:
            return
        if phase == "start":
            self._collecting_since = time.monotonic()
        else:
            self._collected += time.monotonic() - self._collecting_since
