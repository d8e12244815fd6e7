"""The ingest role: listeners, keys, take-overs, sessions."""

import asyncio
import ssl
from collections import deque
from pathlib import Path

from appliance.contracts import subjects
from appliance.contracts.directory import secret_hash
from appliance.contracts.media import Notice
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bus
from appliance.runtime.clock import now_ms, now_us
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from appliance.runtime.replica import Replica
from appliance.runtime.settings import Settings
from appliance.runtime.tasks import Tasks
from edge.ingest.broadcasts import Broadcasts
from edge.ingest.keys import Refusal, authorise, authorise_hash
from edge.ingest.listener import RtmpListener, Sink
from edge.ingest.records import Records
from edge.ingest.session import PublisherSession
from edge.ingest.whip.addresses import candidate_hosts
from edge.ingest.whip.config import WhipConfig
from edge.ingest.whip.gate import Publisher
from edge.ingest.whip.server import WhipServer
from edge.protocols.rtmp import PublishRequested, RtmpLimits

_QUEUE_BYTES = 8 << 20  # of one session, waiting for its task
_KEY_CHECK_S = 2.0
_STOP_S = 12.0
_MAX_TAKEOVER_CHANNELS = 10_000

_REFUSED = counter("nearcast_ingest_refused_total", "Publishers refused, by reason.", ["code"])
_FAILED = counter("nearcast_ingest_failed_sessions_total", "Sessions ended by an error of ours.")
_TAKEOVERS = counter("nearcast_ingest_takeovers_total", "Publishers replaced by a newer one of their channel.")


class IngestService:
    """Takes publishers in. `start`, then `drain` (no new ones), then `stop` (ends those that are left)."""

    def __init__(
        self,
        settings: Settings,
        *,
        local: Bus,
        fed: Bus,
        appender: Appender,
        directory: Replica,
        live: Replica,
        tasks: Tasks,
        tls: ssl.SSLContext | None = None,
        whip_socket: Path | None = None,
    ) -> None:
        """`appender` of `local`; `directory` and `live` are started replicas of their buckets.

        With `tls` the RTMPS port is opened too; with `whip_socket` WebRTC publishers are taken, whose HTTP
        connections come over it.
        """
        self.port = 0
        self._settings = settings
        self._appender = appender
        self._directory = directory
        self._tls = tls
        self._tasks = tasks
        self._records = Records(local, fed, settings.node.edge_id, tasks)
        self._broadcasts = Broadcasts(settings, local, live, directory, self._records, tasks)
        ingest = settings.ingest
        limits = RtmpLimits(connect_s=ingest.handshake_s, publish_s=20.0, idle_s=ingest.idle_s)
        self._listener = RtmpListener(
            self, limits, connections=ingest.connections, per_address=ingest.connections_per_address
        )
        self._whip: WhipServer | None = None
        if whip_socket is not None:
            self._whip = WhipServer(_whip_config(settings), _WhipGate(self), whip_socket, tasks)
        self._sessions: dict[str, PublisherSession] = {}
        self._takeovers: dict[str, deque[float]] = {}
        self._draining = False
        self._log = get_logger("ingest")

    async def start(self) -> None:
        """Returns when publishers are taken."""
        self._records.start()
        self._broadcasts.recover()
        node, ports = self._settings.node, self._settings.ports
        self.port = await self._listener.listen(node.host, ports.rtmp)
        if self._tls is not None:
            await self._listener.listen(node.host, ports.rtmps, self._tls)
        if self._whip is not None:
            await self._whip.start()
        self._tasks.start(self._listener.run(), "ingest-deadlines")
        self._tasks.start(self._watch_keys(), "ingest-keys")
        self._log.info("ingest_ready", port=self.port)

    async def drain(self) -> None:
        """Takes no new publishers; those that are here go on."""
        self._draining = True
        self._listener.stop_accepting()

    async def stop(self) -> None:
        """Ends every session in order: its media is in the log, its broadcast can be resumed."""
        self._draining = True
        self._listener.stop_accepting()
        sessions = list(self._sessions.values())
        self._listener.close_all("stopping", "this server restarts; connect again")
        if self._whip is not None:
            await self._whip.stop()
        waits = [asyncio.ensure_future(session.done.wait()) for session in sessions]
        if waits:
            _, late = await asyncio.wait(waits, timeout=_STOP_S)
            for wait in late:
                wait.cancel()
        await self._records.flushed(3.0)

    # --- the listener's gate

    def admit(self, connection: Publisher, request: PublishRequested, encoder: str) -> Sink | None:
        """Decides about a publisher at once, from what this edge knows."""
        decided = authorise(self._directory, request.key, now_ms())
        if isinstance(decided, Refusal):
            self._refuse(connection, decided)
            return None
        where = decided.channel_id, decided.channel
        if self._draining:
            self._refuse(connection, Refusal("draining", "This server is about to restart.", *where))
            return None
        prior = self._sessions.get(decided.channel_id)
        if prior is not None and not prior.done.is_set():
            if not self._may_take_over(decided.channel_id):
                text = "Two encoders fight for this channel. Stop one and wait a minute."
                self._refuse(connection, Refusal("takeovers", text, *where))
                return None
            _TAKEOVERS.inc()
            prior.replace_by_other()
        session = PublisherSession(
            self._settings,
            decided,
            secret_hash(request.key),
            encoder,
            broadcasts=self._broadcasts,
            appender=self._appender,
            close=connection.close,
            predecessor=prior,
        )
        self._sessions[decided.channel_id] = session
        self._tasks.start(self._run(session), "ingest-session")
        connection.accept()
        return session

    def check(self, key: str, address: str) -> Refusal | None:
        """Why a key may not publish now, before anything is taken over; counted and noted like `admit`'s."""
        decided = authorise(self._directory, key, now_ms())
        if isinstance(decided, Refusal):
            refusal = decided
        elif self._draining:
            text = "This server is about to restart."
            refusal = Refusal("draining", text, decided.channel_id, decided.channel)
        else:
            return None
        self._note_refusal(refusal, address)
        return refusal

    def warn(self, key: str, code: str, text: str) -> None:
        """Tells the owner of a key what went wrong."""
        decided = authorise(self._directory, key, now_ms())
        if not isinstance(decided, Refusal):
            self._notice(Refusal(code, text, decided.channel_id, decided.channel))

    def is_full(self, sink: Sink | None) -> bool:
        """The spool of the process or the queue of the session is at its bound."""
        if self._appender.pending_bytes > self._settings.ingest.spool_bytes:
            return True
        return sink is not None and sink.queued_bytes > _QUEUE_BYTES

    async def _run(self, session: PublisherSession) -> None:
        try:
            await session.run(now_us)
        except Exception as error:  # noqa: BLE001 - task root: one stream must not take the others down
            _FAILED.inc()
            self._log.exception("session_failed", channel=session.key.channel, error=repr(error))
            session.abandon()
        finally:
            if self._sessions.get(session.key.channel_id) is session:
                del self._sessions[session.key.channel_id]

    def _may_take_over(self, channel_id: str) -> bool:
        now = asyncio.get_running_loop().time()
        if len(self._takeovers) > _MAX_TAKEOVER_CHANNELS:
            self._takeovers.clear()
        times = self._takeovers.setdefault(channel_id, deque())
        while times and now - times[0] > 60:
            times.popleft()
        if len(times) >= self._settings.ingest.takeovers_per_minute:
            return False
        times.append(now)
        return True

    def _refuse(self, connection: Publisher, refusal: Refusal) -> None:
        self._note_refusal(refusal, connection.address)
        connection.refuse(refusal.code, refusal.text)

    def _note_refusal(self, refusal: Refusal, address: str) -> None:
        _REFUSED.labels(refusal.code).inc()
        self._log.info("publisher_refused", code=refusal.code, channel=refusal.channel, peer=address)
        if refusal.channel_id:
            self._notice(refusal)

    def _notice(self, refusal: Refusal) -> None:
        notice = Notice(
            channel_id=refusal.channel_id,
            channel=refusal.channel,
            at_ms=now_ms(),
            code=refusal.code,
            text=refusal.text,
        )
        self._records.put(subjects.notice_key(refusal.channel_id), notice)

    async def _watch_keys(self) -> None:
        """Ends publishers whose key was revoked or has expired."""
        while True:
            await asyncio.sleep(_KEY_CHECK_S)
            for session in list(self._sessions.values()):
                decided = authorise_hash(self._directory, session.key_hash, now_ms())
                if isinstance(decided, Refusal):
                    session.expel(decided.code, decided.text)


class _WhipGate:
    """The gate as WebRTC publishers meet it: they have a key and no RTMP command."""

    def __init__(self, service: IngestService) -> None:
        self._service = service
        self.check = service.check
        self.warn = service.warn
        self.is_full = service.is_full

    def admit(self, publisher: Publisher, key: str, encoder: str) -> Sink | None:
        """The sink of a publisher."""
        return self._service.admit(publisher, PublishRequested(key, {}, "live"), encoder)


def _whip_config(settings: Settings) -> WhipConfig:
    node, ingest = settings.node, settings.ingest
    return WhipConfig(
        host=node.host,
        port=settings.ports.webrtc,
        hosts=candidate_hosts(ingest.ice_hosts, node.host),
        ice_servers=tuple(url.strip() for url in ingest.ice_servers.split(",") if url.strip()),
        start_kbps=ingest.webrtc_start_kbps,
        key_every_s=settings.media.segment_target_s,
        idle_s=ingest.idle_s,
        sessions=ingest.connections,
        sessions_per_address=ingest.connections_per_address,
    )
