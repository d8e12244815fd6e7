"""What a publisher's session looks like from outside: its figures now, and what happened to it."""

from collections import deque

import msgspec

from appliance.contracts.session import SessionEvent, SessionRecord
from appliance.runtime.ids import new_id
from edge.ingest.publisher import Publisher

_EVENTS = 50
_EVERY_MS = 4_000


class Diary:
    """Of one session. Times in Unix milliseconds."""

    def __init__(self, publisher: Publisher, *, channel_id: str, channel: str, slot: str, at_ms: int) -> None:
        self._publisher = publisher
        self._record = SessionRecord(
            session_id=new_id(),
            channel_id=channel_id,
            channel=channel,
            broadcast_id="",
            slot=slot,
            kind=publisher.kind,
            address=publisher.address,
            encoder=publisher.encoder,
            since_ms=at_ms,
            at_ms=at_ms,
        )
        self._events: deque[SessionEvent] = deque(maxlen=_EVENTS)
        self._told_ms = 0

    def note(self, at_ms: int, code: str, text: str) -> None:
        """Something happened: the next record says so at once."""
        self._events.append(SessionEvent(at_ms=at_ms, code=code, text=text))
        self._told_ms = 0

    def is_due(self, at_ms: int) -> bool:
        """Whether it is time for a new record."""
        return at_ms - self._told_ms >= _EVERY_MS

    def record(
        self, at_ms: int, *, broadcast_id: str, slot: str, queued_bytes: int, spool_bytes: int, quirks: list[str]
    ) -> SessionRecord:
        """The session as of now."""
        publisher, before = self._publisher, self._record
        self._told_ms = at_ms
        figures = publisher.figures()
        elapsed_ms = max(at_ms - before.at_ms, 1)
        self._record = msgspec.structs.replace(
            before,
            broadcast_id=broadcast_id,
            slot=slot,
            encoder=publisher.encoder,
            at_ms=at_ms,
            received_bytes=publisher.received_bytes,
            bit_rate=(publisher.received_bytes - before.received_bytes) * 8000 // elapsed_ms,
            rtt_ms=figures.rtt_ms,
            lost_packets=figures.lost_packets,
            queued_bytes=queued_bytes,
            spool_bytes=spool_bytes,
            quirks=quirks,
            events=list(self._events),
        )
        return self._record

    def ended(self, at_ms: int, broadcast_id: str) -> SessionRecord:
        """The last record. `broadcast_id`: what it was on the air with, if it ever was."""
        self._record = msgspec.structs.replace(
            self._record,
            broadcast_id=broadcast_id,
            encoder=self._publisher.encoder,
            received_bytes=self._publisher.received_bytes,
            at_ms=at_ms,
            ended_at_ms=at_ms,
            bit_rate=0,
            queued_bytes=0,
            events=list(self._events),
        )
        return self._record
