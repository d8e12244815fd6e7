"""The ingest role: its pieces put together and given one life."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.contracts import subjects
from appliance.contracts.directory import KeyRecord
from appliance.contracts.media import Broadcast
from appliance.contracts.moments import MomentRequest, plain
from appliance.contracts.session import CaptureRequest, ReleaseRequest
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bus, BusMessage, Subscription
from appliance.runtime.clock import now_us
from appliance.runtime.ids import new_id
from appliance.runtime.logs import get_logger
from appliance.runtime.replica import Replica
from appliance.runtime.settings import Settings
from appliance.runtime.tasks import Tasks
from appliance.runtime.tls import ServerTls
from edge.ingest.broadcasts import Broadcasts
from edge.ingest.capture import Captures
from edge.ingest.figures import Figures
from edge.ingest.gate import IngestGate
from edge.ingest.listener import RtmpListener
from edge.ingest.publisher import Publisher
from edge.ingest.reader_watch import ReaderWatch
from edge.ingest.records import Records
from edge.ingest.rounds import go_round
from edge.ingest.rtmp_socket import RECEIVED
from edge.ingest.session import PRIMARY, STANDBY, PublisherSession
from edge.ingest.site import Site
from edge.ingest.whip.access import Access
from edge.ingest.whip.config import WhipConfig
from edge.ingest.whip.server import WhipServer
from edge.ingest.writer import CHUNKS
from edge.protocols.rtmp import RtmpLimits

_STOP_S = 12.0
_MEASURE_S = 1.0
_TOLD_AT_ONCE = 64  # publishers whose figures are told in one go: it takes some milliseconds


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
        figures: Replica,
        tasks: Tasks,
        tls: ServerTls | None = None,
        whip_socket: Path | None = None,
    ) -> None:
        """`appender` of `local`; `directory`, `live` and `figures` are started replicas of their buckets.

        With `tls` the RTMPS port is opened too; with `whip_socket` WebRTC publishers are taken, whose requests come
        over it. ConfigError when a setting makes no sense.
        """
        self.port = 0
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._local, self._fed, self._appender = local, fed, appender
        self._tls, self._tasks = tls, tasks
        self._instance = new_id()
        self._records = Records(local, fed, settings.node.edge_id, tasks)
        self._broadcasts = Broadcasts(settings, local, live, directory, self._records, tasks, self._instance)
        self.gate = IngestGate(
            settings.ingest,
            directory,
            self._records,
            tasks,
            new_session=self._new_session,
            spool_bytes=lambda: appender.pending_bytes,
        )
        self._listener = RtmpListener(
            self.gate,
            RtmpLimits(connect_s=settings.ingest.handshake_s, publish_s=20.0, idle_s=settings.ingest.idle_s),
            tasks,
            connections=settings.ingest.connections,
            per_address=settings.ingest.connections_per_address,
            proxy_from=settings.ingest.proxy_from,
        )
        self._site = Site(
            settings=settings,
            broadcasts=self._broadcasts,
            appender=appender,
            records=self._records,
            figures=Figures(appender),
            captures=Captures(settings.data_dir / "captures", tasks),
            log=local,
            rival=self._rival,
        )
        self._readers = ReaderWatch(settings, local, figures, self.gate)
        self._subscriptions: list[Subscription] = []
        self._whip: WhipServer | None = None
        if whip_socket is not None:
            access = Access(directory, self._records)
            self._whip = WhipServer(WhipConfig.of(settings), self.gate, access, whip_socket, tasks)
        self._log = get_logger("ingest")

    async def start(self) -> None:
        """Returns when publishers are taken."""
        self._records.start()
        self._broadcasts.recover()
        node, ports = self._settings.node, self._settings.ports
        for subject, handler in (
            (subjects.ingest_release(node.edge_id, self._instance), self._on_release),
            (subjects.ingest_capture(node.edge_id), self._on_capture),
        ):
            self._subscriptions.append(await self._local.subscribe(subject, handler))
        moment = subjects.ingest_moment(node.edge_id)
        self._subscriptions.append(await self._fed.subscribe(moment, self._on_moment))
        self.port = await self._listener.listen(node.host, ports.rtmp)
        if self._tls is not None:
            await self._listener.listen(node.host, ports.rtmps, self._tls.context)
            self._tasks.start(self._tls.watch(), "ingest-certificate")
        if self._whip is not None:
            await self._whip.start()
        self._tasks.start(self._listener.run(), "ingest-deadlines")
        self._tasks.start(self._measure(), "ingest-measure")
        self._tasks.start(self._readers.follow(), "ingest-readers")
        self.gate.start()
        self._appender.before_tick(self._work)
        self._log.info("ingest_ready", port=self.port)

    async def drain(self) -> None:
        """Takes no new publishers, asks those that are here to connect elsewhere, and gives them a moment.

        An encoder that can do so publishes there before it leaves here: its viewers see nothing of it.
        """
        self.gate.drain()
        self._listener.stop_accepting()
        if self._whip is not None:
            self._whip.drain()
        ingest = self._settings.ingest
        if not ingest.drain_to and ingest.workers < 2:
            return
        text = "this server restarts"
        asked = [one for one in self.gate.sessions if one.publisher.move(ingest.drain_to, text)]
        self._log.info("draining", sessions=len(self.gate.sessions), asked=len(asked))
        await _all_done(asked, ingest.drain_s)

    async def stop(self) -> None:
        """Ends every session in order: its media is in the log, its broadcast can be resumed."""
        self.gate.drain()
        self._listener.stop_accepting()
        sessions = self.gate.sessions
        self._listener.close_all("stopping", "this server restarts; connect again")
        if self._whip is not None:
            await self._whip.stop()
        await _all_done(sessions, _STOP_S)
        for subscription in self._subscriptions:
            await subscription.close()
        await self._records.backlog.flushed(3.0)
        await self._site.figures.backlog.flushed(1.0)
        _flush_tallies()

    def _work(self) -> float:
        return go_round(self.gate.sessions, self._loop.time())

    async def _measure(self) -> None:
        while True:
            await self._tell_figures()
            _flush_tallies()
            for broadcast in self._on_air():
                self._broadcasts.look(broadcast)
            self._readers.tell()

    async def _tell_figures(self) -> None:
        """How all publishers fare, within _MEASURE_S. Together they wake fewer processes than each by itself."""
        sessions = self.gate.sessions
        groups = [sessions[at : at + _TOLD_AT_ONCE] for at in range(0, len(sessions), _TOLD_AT_ONCE)] or [[]]
        for group in groups:
            await asyncio.sleep(_MEASURE_S / len(groups))
            for session in group:
                if session.is_active:
                    session.tell(now_us())

    def _on_air(self) -> list[Broadcast]:
        return [session.broadcast for session in self.gate.sessions if session.broadcast is not None]

    def _new_session(
        self, key: KeyRecord, key_hash: str, publisher: Publisher, predecessor: PublisherSession | None
    ) -> PublisherSession:
        return PublisherSession(self._site, key, key_hash, publisher, predecessor)

    def _rival(self, channel_id: str, slot: str) -> PublisherSession | None:
        return self.gate.session(channel_id, PRIMARY if slot == STANDBY else STANDBY)

    # --- requests of other processes

    async def _on_release(self, message: BusMessage) -> None:
        """Another ingest process of this edge has a publisher for a channel that is published here."""
        self._tasks.start(self._release(message), "ingest-release")

    async def _release(self, message: BusMessage) -> None:
        try:
            wanted = msgspec.json.decode(message.data, type=ReleaseRequest)
        except msgspec.DecodeError:
            return
        same = self.gate.session(wanted.channel_id, wanted.slot)
        if same is not None:
            same.replace_by_other()
            await same.done.wait()
        rival = self._rival(wanted.channel_id, wanted.slot)
        if rival is not None and rival.is_active:
            await rival.step_back()
        await message.reply(b"done")

    async def _on_moment(self, message: BusMessage) -> None:
        """The streamer marks what is on the air. Only who writes the broadcast answers."""
        try:
            wanted = msgspec.json.decode(message.data, type=MomentRequest)
        except msgspec.DecodeError:
            return
        for broadcast in self._on_air():
            if broadcast.broadcast_id == wanted.broadcast_id and plain(wanted.text):
                moment = self._broadcasts.moments.mark(broadcast, wanted.text, wanted.nonce)
                await message.reply(msgspec.json.encode(moment))

    async def _on_capture(self, message: BusMessage) -> None:
        """A supporter wants to see what an encoder sends. Only who has it answers."""
        try:
            wanted = msgspec.json.decode(message.data, type=CaptureRequest)
        except msgspec.DecodeError:
            return
        for session in self.gate.sessions:
            if session.key.channel == wanted.channel and session.is_active:
                await message.reply(msgspec.json.encode(self._site.captures.start(wanted, session.head)))
                return


def _flush_tallies() -> None:
    RECEIVED.flush()
    CHUNKS.flush()


async def _all_done(sessions: Sequence[PublisherSession], limit_s: float) -> None:
    """Returns when all of them have ended, or at the limit."""
    waits = [asyncio.ensure_future(session.done.wait()) for session in sessions]
    if waits:
        _, late = await asyncio.wait(waits, timeout=limit_s)
        for wait in late:
            wait.cancel()
