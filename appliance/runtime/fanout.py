"""The same bytes to many connected sockets: the contract, and the way that works everywhere.

Who sends past a transport keeps its order: only sockets whose transport has nothing buffered are given here, what
is `Unsent` goes to the transport at once and the socket stays out until that has drained. A descriptor leaves the
caller's array before it is closed (`connection_lost` of a transport comes first), or its successor gets the bytes.
"""

import abc
import os
from array import array
from typing import NamedTuple


class Unsent(NamedTuple):
    """A socket that did not take everything.

    place: of its descriptor in the array.
    taken: bytes of the data that it took: 0 when it is full or failed.
    error: errno of a failure; 0 when it is full or took a part.
    """

    place: int
    taken: int
    error: int


class FanOut(abc.ABC):
    """Belongs to one thread. Nothing waits: a full socket is unsent."""

    @abc.abstractmethod
    def send(self, fds: "array[int]", data: bytes) -> list[Unsent]:
        """Sends `data`, which is not empty, to each of the descriptors; those that did not take all of it.

        fds: array("i") of any length; a descriptor that is none (-1) is unsent with EBADF. In order of `fds`.
        When it returns, nothing refers to the data or the descriptors any more. Never raises for a socket.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Gives back what the kernel holds; nothing is sent afterwards. May be called more than once."""


class EachFanOut(FanOut):
    """A system call for each socket."""

    def send(self, fds: "array[int]", data: bytes) -> list[Unsent]:
        """See FanOut."""
        size, write = len(data), os.write
        unsent: list[Unsent] = []
        for index, fd in enumerate(fds):
            try:
                taken = write(fd, data)
            except BlockingIOError:
                unsent.append(Unsent(index, 0, 0))
            except OSError as error:
                unsent.append(Unsent(index, 0, error.errno or 0))
            else:
                if taken != size:
                    unsent.append(Unsent(index, taken, 0))
        return unsent

    def close(self) -> None:
        """See FanOut."""
