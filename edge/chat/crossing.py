"""What other edges tell as it was: announcements, raids, messages that wait for a moderator, and decisions.

A message that was held here and approved at another edge is said here, by whichever gateway comes first: a second
time has the same ids, and counts for nothing. The decision is echoed into this edge's own log behind it, so that a
gateway that starts later knows that it was done.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from appliance.contracts.chat import ChatMessage
from appliance.contracts.errors import UnavailableError
from appliance.contracts.moderation import (
    ANNOUNCED_MS,
    CROSSING,
    DECISIONS,
    RAIDED_MS,
    EventKind,
    RoomEvent,
)
from appliance.contracts.nonces import Nonces
from appliance.runtime.backoff import Backoff
from appliance.runtime.clock import now_ms
from edge.chat.metrics import Tally
from edge.chat.states import RoomStates

_PREFIX = "happened"
_TOLD_MS = {EventKind.ANNOUNCE: ANNOUNCED_MS, EventKind.RAID: RAIDED_MS}
_SPREAD_S = 0.05  # so that mostly one gateway of the edge says it


class Log(Protocol):
    """The part of the chat's log that this needs."""

    def submit(self, room_id: str, message: ChatMessage) -> asyncio.Future[None]: ...
    def submit_event(self, event: RoomEvent, after: asyncio.Future[None] | None = None) -> asyncio.Future[None]: ...


class Crossing:
    """Fed by `directory_changed`; `on_elsewhere(room_id, events)` runs for each event of another edge, once, unless
    it came too late to be told."""

    def __init__(
        self,
        edge_id: str,
        states: RoomStates,
        nonces: Nonces,
        log: Log,
        tally: Tally,
        on_elsewhere: Callable[[str, Iterable[RoomEvent]], None],
    ) -> None:
        self._edge_id = edge_id
        self._states = states
        self._nonces = nonces
        self._log = log
        self._tally = tally
        self._on_elsewhere = on_elsewhere
        self._wake = asyncio.Event()

    def directory_changed(self, key: str, value: bytes | None) -> None:
        """A record of the directory was written or removed."""
        kind, _, name = key.partition(".")
        if kind != _PREFIX:
            return
        if value is None:
            room_id, _, event_id = name.partition(".")
            self._states.forget_held(room_id, event_id)
            return
        try:
            event = msgspec.json.decode(value, type=RoomEvent)
        except msgspec.MsgspecError:
            self._tally.events["bad_record"] += 1
            return
        if event.event in CROSSING:
            self._happened(event)

    def _happened(self, event: RoomEvent) -> None:
        if event.event is EventKind.HELD or event.event in DECISIONS:
            self._states.apply(event)
            if self._states.owed:
                self._wake.set()
        if event.edge_id == self._edge_id or not self._nonces.heard(event.event_id):
            return
        most_ms = _TOLD_MS.get(event.event)
        if most_ms is not None and event.timestamp < now_ms() - most_ms:
            self._tally.events["too_late"] += 1
        else:
            self._on_elsewhere(event.room, [event])

    async def run(self) -> None:
        """Says what was approved elsewhere and had been held here. Begins once the log was recalled."""
        backoff = Backoff(0.2, 5.0)
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(random.random() * _SPREAD_S)  # noqa: S311 - spreads the gateways
            try:
                for event in list(self._states.owed.values()):
                    await self._say(event)
                backoff.reset()
            except UnavailableError:
                self._wake.set()
                await asyncio.sleep(backoff.next_delay())

    async def _say(self, event: RoomEvent) -> None:
        if event.message is None or event.message_id not in self._states.owed:
            return
        echo = msgspec.structs.replace(event, edge_id=self._edge_id, origin=event.edge_id)
        await self._log.submit_event(echo, self._log.submit(event.room, event.message))
        self._states.apply(echo)
