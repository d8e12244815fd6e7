"""Reading into one buffer for all: a TLS transport else makes a quarter of a megabyte ready for each read."""

import asyncio
import functools
from types import SimpleNamespace
from typing import TYPE_CHECKING

# More than a transport ever has at hand (16 records): what it could not give would only come with the next byte
# from the network once its reading was paused.
_SIZE = 512 * 1024
_SHARED = SimpleNamespace(buffer=bytearray(_SIZE))  # filled and emptied in one call of the loop
_VIEW = memoryview(_SHARED.buffer)


class Buffered(asyncio.BufferedProtocol):
    """Makes a buffered protocol of one that has `data_received`."""

    __slots__ = ()

    if TYPE_CHECKING:

        def data_received(self, data: bytes) -> None:
            """What the other base does with bytes."""

    # Where to read to. What a transport hints at is getattr's default, which nobody needs: it is asked before each
    # read, and a function of ours would cost as much as the reading.
    get_buffer = staticmethod(functools.partial(getattr, _SHARED, "buffer"))

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes are there."""
        self.data_received(_VIEW[:nbytes].tobytes())
