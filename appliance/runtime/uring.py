"""The same bytes to many sockets with one system call for thousands of them: io_uring, without a compiler.

A submission entry (64 bytes) differs between sockets in its descriptor only, so a ring's entries are filled once
and a fan-out copies the descriptors into them with one strided copy; one more reads all results. The sends do not
wait (MSG_DONTWAIT), so all of them are over when the system call returns and the data may go. Layouts:
linux/io_uring.h.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import socket
import struct
from array import array

from appliance.runtime.fanout import EachFanOut, FanOut, Unsent
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import gauge

RINGS = gauge("nearcast_uring_rings", "Rings of io_uring that send to many sockets at once; 0: each by itself.")

ENTRIES = 2048  # 212 KB of the kernel's memory
_SETUP, _ENTER = 425, 426  # system calls, the same on all architectures
_SUBMIT_ALL = 1 << 7  # a send that fails does not stop those behind it; Linux 5.18
_GETEVENTS = 1
_OFFSET_OF_RINGS, _OFFSET_OF_ENTRIES = 0, 0x1000_0000
_MAP_POPULATE = 0x8000
_SEND = 26
_MESSAGE_FLAGS = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_PARAMETERS = struct.Struct("=10I8IQ8IQ")  # io_uring_params: its own fields, sq_off, cq_off
_ENTRY = struct.Struct("=BBHiQQIIQ24x")  # io_uring_sqe: opcode, fd, address, length, message flags, user data
_RESULT = 16  # bytes of an io_uring_cqe: user data (64 bits), result, flags (32 bits each)
_COUNTER = 0xFFFF_FFFF

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


class RingFanOut(FanOut):
    """See FanOut. Results are read, never skipped: a send may take a part of the data.

    Submission and completion counters go in step: all results are read before the next send.
    """

    def __init__(self, entries: int = ENTRIES) -> None:
        """entries: sockets per system call, a power of two. OSError when the kernel does not give a ring."""
        parameters = ctypes.create_string_buffer(_PARAMETERS.size)
        _PARAMETERS.pack_into(parameters, 0, 0, 0, _SUBMIT_ALL, *([0] * 25))
        self._fd = _call(_SETUP, entries, parameters)
        try:
            self._map(parameters)
        except OSError:
            os.close(self._fd)
            raise
        self._told: tuple[int, int] = (0, 0)  # address and length that all entries have
        RINGS.inc()

    def _map(self, parameters: "ctypes.Array[ctypes.c_char]") -> None:
        told = _PARAMETERS.unpack_from(parameters)
        entries, results, sq, cq = told[0], told[1], told[10:17], told[19:26]
        size = max(sq[6] + 4 * entries, cq[5] + _RESULT * results)
        shared = mmap.MAP_SHARED | _MAP_POPULATE
        self._maps = (
            mmap.mmap(self._fd, size, flags=shared, offset=_OFFSET_OF_RINGS),
            mmap.mmap(self._fd, _ENTRY.size * entries, flags=shared, offset=_OFFSET_OF_ENTRIES),
        )
        rings, submissions = (memoryview(one) for one in self._maps)
        self._entries, self._results = entries, results
        self._sq_tail = rings[sq[1] : sq[1] + 4].cast("I")
        self._cq_head = rings[cq[0] : cq[0] + 4].cast("I")
        self._cq_tail = rings[cq[1] : cq[1] + 4].cast("I")
        order = rings[sq[6] : sq[6] + 4 * entries].cast("I")
        order[:] = memoryview(array("I", range(entries)))
        for number in range(entries):
            _ENTRY.pack_into(submissions, _ENTRY.size * number, _SEND, 0, 0, -1, 0, 0, 0, _MESSAGE_FLAGS, number)
        self._fds = submissions.cast("i")[1::16]
        self._addresses = submissions.cast("Q")[2::8]
        self._lengths = submissions.cast("I")[6::16]
        completed = rings[cq[5] : cq[5] + _RESULT * results]
        self._numbers = completed.cast("Q")[::2]
        self._outcomes = completed.cast("i")[2::4]

    # -- sending

    def send(self, fds: "array[int]", data: bytes) -> list[Unsent]:
        """See FanOut. OSError when the kernel breaks its word about results: the ring is of no use then."""
        self._tell(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0, len(data))
        unsent: list[Unsent] = []
        begun, count = 0, len(fds)
        while begun < count:
            at = self._sq_tail[0] % self._entries
            batch = fds[begun : begun + self._entries - at]
            unsent += self._batch(at, batch, begun, len(data))
            begun += len(batch)
        return unsent

    def _tell(self, address: int, length: int) -> None:
        if (address, length) == self._told:
            return
        self._addresses[:] = memoryview(array("Q", (address,)) * self._entries)
        self._lengths[:] = memoryview(array("I", (length,)) * self._entries)
        self._told = address, length

    def _batch(self, at: int, fds: "array[int]", begun: int, size: int) -> list[Unsent]:
        """Sends to descriptors that fit in the entries from `at` on."""
        count = len(fds)
        self._fds[at : at + count] = memoryview(fds)
        before = self._sq_tail[0]
        self._sq_tail[0] = (before + count) & _COUNTER
        submitted = self._enter(count)
        if submitted < count:  # no memory for more: the rest is as if it were full
            self._sq_tail[0] = (before + submitted) & _COUNTER
        self._await(submitted)
        first = self._cq_head[0] % self._results
        taken = self._outcomes[first : first + submitted]
        unsent = []
        if taken.tobytes() != struct.pack("i", size) * submitted:
            unsent = self._judge(at, first, submitted, begun, size)
        self._cq_head[0] = (self._cq_head[0] + submitted) & _COUNTER
        return unsent + [Unsent(begun + index, 0, 0) for index in range(submitted, count)]

    def _judge(self, at: int, first: int, count: int, begun: int, size: int) -> list[Unsent]:
        """Those of `count` results from `first` on that are short or failed."""
        numbers = self._numbers[first : first + count].tolist()
        outcomes = self._outcomes[first : first + count].tolist()
        found = []
        for number, outcome in zip(numbers, outcomes, strict=True):
            if outcome != size:
                error = -outcome if outcome < 0 and -outcome not in (errno.EAGAIN, errno.EINTR) else 0
                found.append(Unsent(begun + number - at, max(0, outcome), error))
        return sorted(found)

    def _enter(self, count: int) -> int:
        """Submits `count` entries; how many the kernel took."""
        while True:
            try:
                return _call(_ENTER, self._fd, count, 0, _GETEVENTS, None, 0)
            except InterruptedError:
                continue
            except OSError:
                return 0

    def _await(self, count: int) -> None:
        """Returns when `count` results are there, which they are at once."""
        while (self._cq_tail[0] - self._cq_head[0]) & _COUNTER < count:
            with contextlib.suppress(InterruptedError):
                _call(_ENTER, self._fd, 0, count, _GETEVENTS, None, 0)

    def close(self) -> None:
        """See FanOut."""
        if self._fd < 0:
            return
        for view in (
            self._sq_tail, self._cq_head, self._cq_tail, self._fds, self._addresses, self._lengths,
            self._numbers, self._outcomes,
        ):  # fmt: skip
            view.release()
        for one in self._maps:
            one.close()
        os.close(self._fd)
        self._fd = -1
        RINGS.dec()


def _call(number: int, *arguments: object) -> int:
    """A system call. OSError."""
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    found = int(_syscall(ctypes.c_long(number), *given))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found


def open_fan_out() -> FanOut:
    """A ring where the kernel gives one and it works; else, which the log says, the way that works everywhere."""
    try:
        ring = RingFanOut()
        try:
            _try_out(ring)
        except OSError:
            ring.close()
            raise
    except OSError as error:
        get_logger("uring").info("io_uring_refused", error=error.strerror)
        return EachFanOut()
    return ring


def _try_out(ring: FanOut) -> None:
    """OSError unless one byte arrives: the set-up may be allowed and the rest not."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        for unsent in ring.send(array("i", (ours.fileno(),)), b"x"):
            raise OSError(unsent.error, os.strerror(unsent.error) if unsent.error else "nothing is sent")
        theirs.recv(1)
