"""A child process that turns its standard input into its standard output, used by one thread at a time.

Every wait has an end, what it says on standard error is kept for the error, and it dies with its parent. Linux
counts the thread that started it as the parent: that thread has to live as long as the engine is used.
"""

import contextlib
import fcntl
import os
import re
import select
import signal
import subprocess
import time
import weakref
from collections import deque

from edge.transcode.engines.base import EngineError

_PIPE_BYTES = 1 << 20
_READ_BYTES = 1 << 20
_SAID_BYTES = 4096
_LINE = 200  # characters of an error
_SPEAKER = re.compile(r"^(\[[^\]]*\] )+")  # such as [h264_nvenc @ 0x55f5e2657cc0]
_PIECES = 512  # buffers of one write; the system takes 1024
_END_S = 5.0

Piece = bytes | memoryview


class EncoderProcess:
    """States: alive, ended. After an EngineError only `close` may be called."""

    def __init__(self, argv: list[str], patience_s: float) -> None:
        """`patience_s`: without any progress for so long the child is taken for stuck. EngineError."""
        self.name = argv[0]
        self.patience_s = patience_s
        self._said = b""
        try:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise EngineError(f"{argv[0]} does not start: {error.strerror}") from error
        self._finalizer = weakref.finalize(self, _end, self._child)
        pipes = (self._child.stdin, self._child.stdout, self._child.stderr)
        self._in, self._out, self._err = (pipe.fileno() for pipe in pipes if pipe is not None)
        for descriptor in (self._in, self._out, self._err):
            os.set_blocking(descriptor, False)
        with contextlib.suppress(OSError):  # a limit of the system: only slower
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def exchange(self, pieces: list[Piece]) -> bytes:
        """Writes all of `pieces`; what the child has written by then. EngineError when it is dead or stuck."""
        left = deque(memoryview(piece) for piece in pieces)
        out: list[bytes] = []
        while left:
            self._wait(out, left)
        self._read(out)
        return b"".join(out)

    def wait(self, at_most_s: float | None = None) -> bytes:
        """What the child writes next; nothing when `at_most_s` pass. EngineError when it is dead or stuck."""
        out: list[bytes] = []
        self._wait(out, None, at_most_s)
        return b"".join(out)

    def close(self) -> None:
        """Ends the child and collects it."""
        self._finalizer()

    def _wait(self, out: list[bytes], left: deque[memoryview] | None, at_most_s: float | None = None) -> None:
        """Returns after some progress, or after `at_most_s`."""
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        poll.register(self._err, select.POLLIN)
        if left is not None:
            poll.register(self._in, select.POLLOUT)
        deadline = time.monotonic() + (self.patience_s if at_most_s is None else at_most_s)
        while True:
            events = dict(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
            if not events and at_most_s is not None:
                return
            if not events:
                raise EngineError(f"{self.name} does not answer{self._words()}")
            if self._err in events and not self._hear():
                poll.unregister(self._err)
            if self._out in events:
                self._read(out)
                return
            if self._in in events and left is not None:
                self._write(left)
                return

    def _read(self, out: list[bytes]) -> None:
        try:
            data = os.read(self._out, _READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise EngineError(self._why())
        out.append(data)

    def _write(self, left: deque[memoryview]) -> None:
        try:
            count = os.writev(self._in, [left[index] for index in range(min(len(left), _PIECES))])
        except BlockingIOError:
            return
        except BrokenPipeError:
            raise EngineError(self._why()) from None
        while left and count >= len(left[0]):
            count -= len(left.popleft())
        if count:
            left[0] = left[0][count:]

    def _hear(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            said = os.read(self._err, _SAID_BYTES)
            self._said = (self._said + said)[-_SAID_BYTES:]
            return bool(said)
        return True

    def _why(self) -> str:
        """Why the child has ended, in its own words where it left some."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(1.0)
        self._hear()
        code = self._child.poll()
        if code is not None and code < 0:
            return f"{self.name} was killed by {signal.Signals(-code).name}"
        return f"{self.name} has ended{self._words()}"

    def _words(self) -> str:
        """The first thing that it complained of: what follows are consequences."""
        lines = self._said.decode("utf-8", "replace").strip().splitlines()
        return ": " + _SPEAKER.sub("", lines[0].strip())[:_LINE] if lines else ""


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in a driver: it cannot be waited for
        child.wait(_END_S)
