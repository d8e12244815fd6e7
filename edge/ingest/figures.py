"""How publishers fare, in a bucket of its own: what changes all the time, and only the newest of it counts.

It leaves with the media, of all publishers in one go, and is written behind as that is: to wait for each write by
itself, and for the disk, would cost a quarter of what ingest and log cost. Of a key one write is under way at a
time, so that its values are stored in order.
"""

import asyncio
from functools import partial

import msgspec

from appliance.contracts import subjects
from appliance.runtime.ids import new_id
from edge.ingest.appends import Appends
from edge.ingest.backlog import Backlog

_FORGET_S = 3600  # every process of the site has heard of it by then
_REMOVED = {"KV-Operation": "DEL", "Nats-TTL": f"{_FORGET_S}s"}


class Figures:
    """Records that nobody else writes. They are tried again until they are written."""

    def __init__(self, appender: Appends) -> None:
        self._appender = appender
        self._waiting: dict[str, bytes | None] = {}  # the newest values of keys that are being written
        self._writing: set[str] = set()
        self.backlog = Backlog()

    def put(self, key: str, record: msgspec.Struct) -> None:
        """Writes a record."""
        self._write(key, msgspec.json.encode(record))

    def delete(self, key: str) -> None:
        """Removes a record."""
        self._write(key, None)

    def _write(self, key: str, value: bytes | None) -> None:
        if key in self._writing:
            self._waiting[key] = value
            return
        self._writing.add(key)
        self.backlog.fill()
        written = self._appender.append(
            subjects.kept(subjects.FIGURES_BUCKET, key),
            value or b"",
            message_id=new_id(),
            headers=_REMOVED if value is None else {},
        )
        written.add_done_callback(partial(self._written, key))

    def _written(self, key: str, _written: "asyncio.Future[int]") -> None:
        self._writing.discard(key)
        if key in self._waiting:
            self._write(key, self._waiting.pop(key))
        elif not self._writing:
            self.backlog.drained()
