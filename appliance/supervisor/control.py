"""Wishes to a running supervisor, over a unix socket that only its own user can reach."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from appliance.contracts.errors import BadInputError, NearcastError, UnavailableError

_WISH_S = 5.0
_LINE = 64 * 1024


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Start these roles again, one after the other; all of them when none is named."""

    restart: list[str] = []


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. `detail` says what went wrong."""

    restarted: list[str] = []
    detail: str = ""


class Control:
    """Answers wishes, one at a time."""

    def __init__(self, path: Path, restart: Callable[[list[str]], Awaitable[list[str]]]) -> None:
        self._path = path
        self._restart = restart
        self._server: asyncio.Server | None = None
        self._one = asyncio.Lock()

    async def start(self) -> None:
        """Returns when wishes are heard."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_LINE)
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Hears no more."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WISH_S):
                line = await reader.readline()
            wish = msgspec.json.decode(line, type=Wish)
            async with self._one:
                answer = Granted(restarted=await self._restart(wish.restart))
        except NearcastError as error:
            answer = Granted(detail=error.detail)
        except (msgspec.MsgspecError, TimeoutError, ValueError):
            answer = Granted(detail="not a wish that can be read")
        except ConnectionError:
            writer.close()
            return
        with contextlib.suppress(ConnectionError):
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        writer.close()


def ask(path: Path, wish: Wish, timeout_s: float) -> Granted:
    """Has a supervisor grant a wish. UnavailableError: it does not answer; BadInputError: it refused."""
    try:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(timeout_s)
            wire.connect(str(path))
            wire.sendall(msgspec.json.encode(wish) + b"\n")
            with wire.makefile("rb") as answers:
                granted = msgspec.json.decode(answers.readline(_LINE), type=Granted)
    except (OSError, msgspec.MsgspecError) as error:
        raise UnavailableError(f"the node does not answer: {error}") from error
    if granted.detail:
        raise BadInputError(granted.detail, code="restart")
    return granted
