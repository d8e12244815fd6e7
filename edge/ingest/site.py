"""What the sessions of one ingest process share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.runtime.settings import Settings
from edge.ingest.appends import Appends
from edge.ingest.broadcasts import Broadcasts
from edge.ingest.capture import Captures
from edge.ingest.figures import Figures
from edge.ingest.log_watch import Log
from edge.ingest.records import Records


class Rival(Protocol):
    """The session of a channel's other slot."""

    @property
    def is_active(self) -> bool:
        """Whether its media goes into the log."""

    async def step_back(self) -> None:
        """Lets go of the broadcast and waits. Returns once its media is in the log."""


@dataclass(frozen=True, slots=True)
class Site:
    """`rival(channel_id, slot)`: the session of the other slot in this process, None when there is none."""

    settings: Settings
    broadcasts: Broadcasts
    appender: Appends
    records: Records
    figures: Figures
    captures: Captures
    log: Log
    rival: Callable[[str, str], Rival | None]
