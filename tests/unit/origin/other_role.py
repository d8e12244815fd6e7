"""A role that takes connections over, in this process: asyncio streams on a copy of each descriptor."""

import asyncio
import os
import socket


class OtherRole:
    """`arrivals` gives (reader, writer, head, peer) of each; `away` refuses."""

    def __init__(self):
        self.away = False
        self.arrivals = asyncio.Queue()
        self.count = 0
        self._opened = []

    def send(self, fd, head, peer):
        if self.away:
            return False
        self.count += 1
        taken = socket.socket(fileno=os.dup(fd))
        taken.setblocking(False)
        self._opened.append(asyncio.ensure_future(self._open(taken, head, peer)))
        return True

    async def _open(self, taken, head, peer):
        reader, writer = await asyncio.open_connection(sock=taken)
        self.arrivals.put_nowait((reader, writer, head, peer))

    async def arrival(self):
        async with asyncio.timeout(5):
            return await self.arrivals.get()
