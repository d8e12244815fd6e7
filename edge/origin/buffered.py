"""Reading into one buffer for all: a TLS transport else makes a quarter of a megabyte ready for each read."""

import asyncio
from typing import TYPE_CHECKING

# More than a transport ever has at hand (16 records): what it could not give would only come with the next byte
# from the network once its reading was paused.
_SIZE = 512 * 1024
_BUFFER = bytearray(_SIZE)  # filled and emptied in one call of the loop, so everybody may share it
_VIEW = memoryview(_BUFFER)


class Buffered(asyncio.BufferedProtocol):
    """Makes a buffered protocol of one that has `data_received`."""

    __slots__ = ()

    if TYPE_CHECKING:

        def data_received(self, data: bytes) -> None:
            """What the other base does with bytes."""

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where to read to."""
        _ = sizehint
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes are there."""
        self.data_received(_VIEW[:nbytes].tobytes())
