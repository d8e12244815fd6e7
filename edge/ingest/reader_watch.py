"""Tells the publishers on the air who reads what they send: whether somebody takes it while its parts still grow,
and what a transcoder finds damaged.
"""

import asyncio

import msgspec

from appliance.contracts.session import SessionRecord
from appliance.contracts.subjects import session_key
from appliance.runtime.bus import Bus
from appliance.runtime.clock import now_ms
from appliance.runtime.replica import Replica
from appliance.runtime.settings import Settings
from edge.ingest.damage_reports import WORKERS, DamageReports, is_of_worker
from edge.ingest.eager_readers import FILTERS, STREAM, EagerReaders
from edge.ingest.gate import IngestGate
from edge.ingest.session import PRIMARY, STANDBY, PublisherSession

_RIVAL_MS = 15_000  # a record is told again sooner while its publisher is there


class ReaderWatch:
    """`follow` is a task; `tell` is to be called every second."""

    def __init__(self, settings: Settings, local: Bus, figures: Replica, gate: IngestGate) -> None:
        """`figures` is the replica of that bucket."""
        self._transcode = settings.transcode
        self._local = local
        self._figures = figures
        self._gate = gate
        self._readers = EagerReaders(1.25 * settings.transcode.lease_ttl_s)
        self._damage = DamageReports()
        self._on_air: set[str] = set()  # broadcasts, at the last look

    async def follow(self) -> None:
        """Hears of transcoders and viewers, without end."""
        async for message in self._local.tail(STREAM, [*FILTERS, WORKERS]):
            now = asyncio.get_running_loop().time()
            if is_of_worker(message.subject):
                self._damage.heard(message.subject, message.data, now)
            elif self._readers.heard(message.subject, message.data, message.headers, now):
                self.tell()

    def tell(self) -> None:
        """Tells each publisher as of now."""
        now = asyncio.get_running_loop().time()
        before, self._on_air = self._on_air, set()
        for session in self._gate.sessions:
            if session.broadcast is not None:
                self._on_air.add(session.broadcast.broadcast_id)
        if self._transcode.enabled:
            for broadcast_id in self._on_air - before:
                self._readers.await_transcoder(broadcast_id, now)
        readers = self._readers.at(now)
        for session in self._gate.sessions:
            session.set_eager(readers, rival=self._has_rival(session))
            if session.broadcast is not None:
                session.set_damaged(self._damage.of(session.broadcast.broadcast_id, now))

    def _has_rival(self, session: PublisherSession) -> bool:
        """Whether another publisher waits behind this one, here or in another process: it follows the log."""
        slot = PRIMARY if session.slot == STANDBY else STANDBY
        data = self._figures.get(session_key(session.key.channel_id, slot))
        try:
            record = msgspec.json.decode(data, type=SessionRecord) if data is not None else None
        except msgspec.MsgspecError:
            return False
        return record is not None and not record.ended_at_ms and now_ms() - record.at_ms < _RIVAL_MS
