"""Answers edges that ask for grants on behalf of their viewers, over the bus."""

from collections.abc import Awaitable, Callable

import msgspec

from appliance.contracts.errors import NearcastError
from appliance.contracts.grants import GrantAnswer, GrantRequest
from appliance.contracts.subjects import grant_request
from appliance.runtime.tasks import Tasks
from coordinator.accounts.service import Accounts
from coordinator.playback.service import PlaybackService
from coordinator.ports import Hub
from coordinator.times import to_ms
from coordinator.unit import Units

_AT_ONCE = 64  # questions in work; beyond them an edge is told to come again


class GrantDesk:
    """`start` once the bus is there, `close` at the end."""

    def __init__(
        self,
        hub: Hub,
        units: Units,
        accounts: Accounts,
        playback: PlaybackService,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._hub = hub
        self._units = units
        self._accounts = accounts
        self._playback = playback
        self._working = 0
        self._tasks = Tasks(on_failure)

    async def start(self) -> None:
        """Begins to answer."""
        await self._hub.serve(grant_request("*"), self._take)

    async def close(self) -> None:
        """Ends what is in work."""
        await self._tasks.close()

    async def _take(self, data: bytes, reply: Callable[[bytes], Awaitable[None]]) -> None:
        if self._working >= _AT_ONCE:
            await reply(msgspec.json.encode(GrantAnswer(status=503, code="unavailable", detail="try again")))
            return
        self._working += 1
        self._tasks.start(self._work(data, reply), "grant")

    async def _work(self, data: bytes, reply: Callable[[bytes], Awaitable[None]]) -> None:
        try:
            await reply(msgspec.json.encode(await self.answer(data)))
        finally:
            self._working -= 1

    async def answer(self, data: bytes) -> GrantAnswer:
        """The grant, or the refusal in our own words."""
        try:
            asked = msgspec.json.decode(data, type=GrantRequest)
            async with self._units.open() as unit:
                caller = await self._accounts.authenticate_hash(unit, asked.token)
                issued = await self._playback.grant(unit, caller, asked.channel, asked.life_s)
        except NearcastError as error:
            return GrantAnswer(status=error.status, code=str(error.code), detail=error.detail)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return GrantAnswer(status=400, code="bad_input", detail="not a request for a grant")
        if issued.grant is None:
            return GrantAnswer()
        return GrantAnswer(
            grant=issued.grant, expires_ms=to_ms(issued.expires_at), until_ms=to_ms(issued.renew_until)
        )
