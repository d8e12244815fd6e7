"""Who may publish, and which session they get. One session per channel and slot; the newest encoder wins.

Decided from what this edge knows: nothing here asks the centre.
"""

import asyncio
from collections.abc import Callable

from appliance.contracts import subjects
from appliance.contracts.directory import KeyRecord, secret_hash
from appliance.contracts.media import Notice
from appliance.runtime.clock import now_ms, now_us
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from appliance.runtime.settings import IngestSettings
from appliance.runtime.tasks import Tasks
from edge.ingest.keys import Directory, Refusal, authorise_any, authorise_hash
from edge.ingest.publisher import Publisher, Sink, Target
from edge.ingest.records import Records
from edge.ingest.session import PRIMARY, STANDBY, PublisherSession
from edge.ingest.take_overs import Slot, TakeOvers

_QUEUE_BYTES = 8 << 20  # of one session, waiting for its task
_KEY_CHECK_S = 1.0
_UNKNOWN_S, _UNKNOWN_STEP_S = 0.4, 0.04  # a key made a moment ago may be on its way here
_UNKNOWN = 200  # publishers that wait so
_SILENT_US = 2_000_000

_REFUSED = counter("nearcast_ingest_refused_total", "Publishers refused, by reason.", ["code"])
_FAILED = counter("nearcast_ingest_failed_sessions_total", "Sessions ended by an error of ours.")
_TAKEOVERS = counter("nearcast_ingest_takeovers_total", "Publishers replaced by a newer one of their channel.")

NewSession = Callable[[KeyRecord, str, Publisher, PublisherSession | None], PublisherSession]


class IngestGate:
    """Admits publishers of every protocol and keeps their sessions."""

    def __init__(
        self,
        settings: IngestSettings,
        directory: Directory,
        records: Records,
        tasks: Tasks,
        *,
        new_session: NewSession,
        spool_bytes: Callable[[], int],
    ) -> None:
        """`new_session(key, key_hash, publisher, predecessor)`; `spool_bytes`: what waits for the part log."""
        self._settings = settings
        self._directory = directory
        self._records = records
        self._tasks = tasks
        self._new_session = new_session
        self._spool_bytes = spool_bytes
        self._sessions: dict[Slot, PublisherSession] = {}
        self._take_overs = TakeOvers(settings.takeovers_per_minute)
        self._unknown = 0
        self._draining = False
        self._log = get_logger("ingest.gate")

    def start(self) -> None:
        """Begins to watch the keys of running sessions."""
        self._tasks.start(self._watch_keys(), "ingest-keys")

    def drain(self) -> None:
        """Nobody new."""
        self._draining = True

    @property
    def sessions(self) -> list[PublisherSession]:
        """Those that run."""
        return list(self._sessions.values())

    def session(self, channel_id: str, slot: str) -> PublisherSession | None:
        """The one that holds a channel's slot."""
        return self._sessions.get((channel_id, slot))

    # --- the publishers' calls

    def admit(self, publisher: Publisher, target: Target) -> None:
        """Decides at once; only an unknown key is waited for, for less than a second."""
        key, decided = authorise_any(self._directory, target.keys, now_ms())
        if isinstance(decided, KeyRecord):
            self._enter(publisher, key, decided)
        elif decided.code == "unknown_key" and self._unknown < _UNKNOWN:
            self._tasks.start(self._wait_for_key(publisher, target), "ingest-unknown-key")
        else:
            self._refuse(publisher, decided)

    def is_full(self, sink: Sink | None) -> bool:
        """The spool of the process or the queue of the session is at its bound."""
        if self._spool_bytes() > self._settings.spool_bytes:
            return True
        return sink is not None and sink.queued_bytes > _QUEUE_BYTES

    async def _wait_for_key(self, publisher: Publisher, target: Target) -> None:
        self._unknown += 1
        try:
            for _ in range(int(_UNKNOWN_S / _UNKNOWN_STEP_S)):
                await asyncio.sleep(_UNKNOWN_STEP_S)
                key, decided = authorise_any(self._directory, target.keys, now_ms())
                if publisher.closed or isinstance(decided, KeyRecord) or decided.code != "unknown_key":
                    break
        finally:
            self._unknown -= 1
        if publisher.closed:
            return
        if isinstance(decided, KeyRecord):
            self._enter(publisher, key, decided)
        else:
            self._refuse(publisher, decided)

    # --- sessions

    def _enter(self, publisher: Publisher, secret: str, key: KeyRecord) -> None:
        where = key.channel_id, key.channel
        if self._draining:
            self._refuse(publisher, Refusal("draining", "This server is about to restart.", *where))
            return
        slot = key.channel_id, STANDBY if key.standby else PRIMARY
        prior = self._sessions.get(slot)
        # One that is ending has stopped by itself, and its connection may be the one that publishes again.
        if prior is not None and not prior.done.is_set() and not prior.is_ending:
            if not self._may_take_over(slot, prior):
                text = "Two encoders fight for this channel. Stop one and wait a minute."
                self._refuse(publisher, Refusal("takeovers", text, *where))
                return
            _TAKEOVERS.inc()
            prior.replace_by_other()
        session = self._new_session(key, secret_hash(secret), publisher, prior)
        self._sessions[slot] = session
        self._tasks.start(self._run(slot, session), "ingest-session")
        publisher.accept(session)

    async def _run(self, slot: Slot, session: PublisherSession) -> None:
        try:
            await session.run(now_us)
        except Exception as error:  # noqa: BLE001 - task root: one stream must not take the others down
            _FAILED.inc()
            self._log.exception("session_failed", channel=session.key.channel, error=repr(error))
            session.abandon()
        finally:
            if self._sessions.get(slot) is session:
                del self._sessions[slot]

    def _may_take_over(self, slot: Slot, prior: PublisherSession) -> bool:
        """One that has fallen silent is no rival: its line broke, and the same encoder has another one."""
        silent = now_us() - prior.heard_us > _SILENT_US
        return silent or self._take_overs.allow(slot, asyncio.get_running_loop().time())

    def _refuse(self, publisher: Publisher, refusal: Refusal) -> None:
        _REFUSED.labels(refusal.code).inc()
        self._log.info(
            "publisher_refused",
            code=refusal.code,
            channel=refusal.channel,
            peer=publisher.address,
            kind=publisher.kind,
        )
        if refusal.channel_id:
            notice = Notice(
                channel_id=refusal.channel_id,
                channel=refusal.channel,
                at_ms=now_ms(),
                code=refusal.code,
                text=refusal.text,
            )
            self._records.put(subjects.notice_key(refusal.channel_id), notice)
        publisher.refuse(refusal.code, refusal.text)

    async def _watch_keys(self) -> None:
        """Ends publishers whose key was revoked or has expired."""
        while True:
            await asyncio.sleep(_KEY_CHECK_S)
            for session in self.sessions:
                decided = authorise_hash(self._directory, session.key_hash, now_ms())
                if isinstance(decided, Refusal):
                    session.expel(decided.code, decided.text)
