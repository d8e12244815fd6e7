"""Runs the copy of the directory and trims the outbox behind the centre's acknowledgements."""

import asyncio
from collections.abc import Callable

from appliance.contracts.errors import NotFoundError, UnavailableError
from appliance.contracts.subjects import CENTRE_CONSUMER, outbox
from appliance.runtime.bus import Bus
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import gauge
from appliance.runtime.tasks import Tasks
from edge.agent.directory import DirectoryCopy

MARGIN = 20_000  # acknowledged messages kept, so that rooms have a history while the WAN is cut
_EVERY_S = 60.0
_BACKLOG = gauge("nearcast_agent_outbox_backlog_messages", "Outbox messages that the centre has not committed.")


class AgentService:
    """Runs the housekeeping of one edge."""

    def __init__(self, fed: Bus, edge_id: str, on_failure: Callable[[BaseException], None]) -> None:
        self._fed = fed
        self._stream = outbox(edge_id)
        self._directory = DirectoryCopy(fed)
        self._tasks = Tasks(on_failure)
        self._log = get_logger("agent")

    async def start(self) -> None:
        """Begins."""
        self._tasks.start(self._directory.run(), "copy-directory")
        self._tasks.start(self._keep_trimming(), "trim-outbox")

    async def drain(self) -> None:
        """Nothing is taken from outside."""

    async def stop(self) -> None:
        """Ends."""
        await self._directory.close()
        await self._tasks.close()

    async def _keep_trimming(self) -> None:
        while True:
            try:
                await self._trim()
            except (UnavailableError, NotFoundError) as error:
                self._log.debug("trim_waits", error=error.detail)
            await asyncio.sleep(_EVERY_S)

    async def _trim(self) -> None:
        """Removes what lies MARGIN messages behind the centre's acknowledgement floor."""
        state = await self._fed.api(f"CONSUMER.INFO.{self._stream}.{CENTRE_CONSUMER}")
        floor = int(state["ack_floor"]["stream_seq"])
        _BACKLOG.set(int(state["num_pending"]) + int(state["num_ack_pending"]))
        if floor > MARGIN:
            await self._fed.api(f"STREAM.PURGE.{self._stream}", {"seq": floor - MARGIN})
