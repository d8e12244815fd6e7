"""`python -m tests.conformance.echo_server`: says its port, then gives back every message, until it is ended.

What it speaks with is the gateway's own connection: transport, frames, limits, closing.
"""

import asyncio
import logging
from typing import cast

import uvloop

from edge.chat.config import ChatConfig
from edge.chat.connection import NEVER, Connection
from edge.chat.crowd import Entry
from edge.chat.metrics import Tally
from edge.chat.wheel import Wheel
from edge.protocols.http.request import HeadMemo, RequestReader
from edge.protocols.websocket.deflate import compress
from edge.protocols.websocket.frames import Opcode, build_frame
from edge.protocols.websocket.handshake import accept

_LARGEST = 64 << 20
_UNLIMITED = 1e15


class Echo(Connection):
    """Compresses every answer when that was agreed."""

    __slots__ = ("_window_bits",)

    def __init__(self, host, transport, deflate):
        super().__init__(host, transport, "", Entry.TAKEN, deflate, b"", _LARGEST)
        self._window_bits = deflate.window_bits if deflate is not None else 0

    def take_text(self, text):
        self._answer(Opcode.TEXT, text.encode())

    def take_binary(self, data):
        self._answer(Opcode.BINARY, data)

    def _answer(self, opcode, payload):
        if self._window_bits:
            self.write(build_frame(opcode, compress(payload, self._window_bits), compressed=True))
        else:
            self.write(build_frame(opcode, payload))


class Opening(asyncio.Protocol):
    """The opening handshake; then an Echo takes over."""

    def __init__(self, host):
        self._host = host
        self._reader = RequestReader(host.memo)

    def connection_made(self, transport):
        self._transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(0)

    def data_received(self, data):
        self._reader.receive_data(data)
        request = self._reader.next_request()
        if request is None:
            return
        answer, deflate = accept(request)
        echo = Echo(self._host, self._transport, deflate)
        self._transport.set_protocol(echo)
        self._transport.write(answer)
        if self._reader.rest:
            echo.data_received(self._reader.rest)


class EchoHost:
    """The owner of the connections, as the gateway is."""

    def __init__(self):
        self.config = ChatConfig(edge_id="echo", bytes_per_s=_UNLIMITED, frames_per_s=_UNLIMITED)
        self.tally = Tally()
        self.memo = HeadMemo()
        self._wheel: Wheel[Connection] = Wheel(self.now())

    def now(self):
        return asyncio.get_running_loop().time()

    def remind(self, connection, at):
        self._wheel.remind(connection, at)

    def lost(self, connection):
        self._wheel.forget(connection)

    async def run(self):
        server = await asyncio.get_running_loop().create_server(lambda: Opening(self), "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        while True:
            await asyncio.sleep(self._wheel.rest(self.now()))
            for connection in self._wheel.turn(self.now()):
                at = connection.check(self.now())
                if at != NEVER:
                    self._wheel.remind(connection, at)


async def main():
    await EchoHost().run()


if __name__ == "__main__":
    logging.basicConfig()
    uvloop.run(main())
