"""Sanic's server inside the loop that runs already: no workers, no signal handlers, one process."""

import asyncio
import socket
from typing import Any

from sanic import Sanic

_POLL_S = 0.05


class Listener:
    """Listens for one app. `start`, then `drain`, then `stop`."""

    def __init__(self, app: Sanic[Any, Any]) -> None:
        self._app = app
        # Sanic leaves the methods of its server untyped.
        self._server: Any = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Returns when connections are accepted; port 0 takes any free one. OSError: it cannot be had."""
        listener = _bound(host, port)
        self.port = listener.getsockname()[1]
        self._server = await self._app.create_server(
            sock=listener,
            access_log=False,
            return_asyncio_server=True,
            asyncio_server_kwargs={"start_serving": False},
        )
        await self._server.startup()
        await self._server.before_start()
        await self._server.start_serving()
        await self._server.after_start()

    async def drain(self, wait_s: float) -> None:
        """Takes no new connections, closes idle ones and waits at most `wait_s` for the others."""
        if self._server is None:
            return
        self._server.server.close()
        for _ in range(max(1, round(wait_s / _POLL_S))):
            for connection in list(self._server.connections):
                connection.close_if_idle()
            if not self._server.connections:
                return
            await asyncio.sleep(_POLL_S)

    async def stop(self) -> None:
        """Cuts what is still open and forgets the app, whose name another may then take."""
        if self._server is not None:
            self._server.server.close()
            for connection in list(self._server.connections):
                connection.abort()
            await self._server.before_stop()
            await self._server.after_stop()
            self._server = None
        Sanic.unregister_app(self._app)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
