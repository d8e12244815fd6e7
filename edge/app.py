"""Composition of the edge's roles: the only module that names concrete adapters."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.contracts.errors import UnavailableError
from appliance.contracts.subjects import DIRECTORY_BUCKET, FIGURES_BUCKET, LIVE_BUCKET
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bus
from appliance.runtime.handoff import HandoffSender
from appliance.runtime.limits import return_large_buffers
from appliance.runtime.logs import get_logger
from appliance.runtime.replica import Replica
from appliance.runtime.role import Build, RoleContext, Service, run_role
from appliance.runtime.settings import TlsSettings
from appliance.runtime.tasks import Tasks
from appliance.runtime.tls import ServerTls

# A role's process loads only its own code: that is why the imports stand inside the builders.
# ruff: noqa: PLC0415

PAGES = Path(__file__).parent / "web" / "dist"
_WHEP_SOCKET = "whep.sock"


async def _replica(
    bus: Bus, bucket: str, kinds: Sequence[str] = (), on_anew: Callable[[], None] | None = None
) -> Replica:
    replica = Replica(bus, bucket, kinds=kinds, on_anew=on_anew)
    await replica.start()
    return replica


async def _agent(context: RoleContext) -> Service:
    from edge.agent.service import AgentService

    return AgentService(await context.fed(), context.settings.node.edge_id, context.fail)


async def _ingest(context: RoleContext) -> Service:
    from edge import compiled

    get_logger("ingest").info("hot_modules", compiled=compiled.in_use())
    from edge.ingest.service import IngestService

    def lost() -> None:
        """A site that lost its disk knows nothing of who is on the air: encoders come back into new broadcasts."""
        get_logger("ingest").error("live_records_lost")
        context.fail(UnavailableError("the live records of this site are gone"))

    local, fed = await context.local(), await context.fed()
    appender = Appender(local)
    await appender.start()
    return IngestService(
        context.settings,
        local=local,
        fed=fed,
        appender=appender,
        directory=await _replica(fed, DIRECTORY_BUCKET),
        live=await _replica(local, LIVE_BUCKET, ("broadcast", "rendition", "moments"), lost),
        figures=await _replica(local, FIGURES_BUCKET, ("session",)),
        tasks=Tasks(context.fail),
        tls=_server_tls(context.settings.tls),
        whip_socket=_whip_socket(context) if context.worker == 0 else None,  # there is one port for media
    )


async def _transcode(context: RoleContext) -> Service:
    from edge.transcode.service import TranscodeService

    return_large_buffers()  # before it has any
    settings = context.settings
    return TranscodeService(
        settings.transcode,
        settings.media,
        await context.local(),
        context.worker,
        folder=settings.data_dir,
        rewind_s=settings.rewind_s,
        on_failure=context.fail,
    )


async def _recorder(context: RoleContext) -> Service:
    from edge.recorder.service import RecorderService

    settings = context.settings
    return RecorderService(
        settings.recorder,
        local=await context.local(),
        folder=settings.spool_dir,
        on_failure=context.fail,
    )


async def _origin(context: RoleContext) -> Service:
    from edge.origin.config import OriginConfig
    from edge.origin.service import OriginService

    settings = context.settings
    config = OriginConfig(
        edge_id=settings.node.edge_id,
        host=settings.node.host,
        port=settings.ports.http,
        https_port=settings.ports.https,
        rtmp_port=settings.ports.rtmp,
        pages=PAGES,
        acme_dir=Path(settings.tls.acme_dir) if settings.tls.acme_dir else None,
        window_s=settings.origin.window_s,
        spool=settings.spool_dir if settings.recorder.enabled else None,
        rewind_s=settings.recorder.window_s if settings.recorder.enabled else 0.0,
        idle_s=settings.origin.idle_s,
        store_bytes=settings.origin.store_bytes,
        connections=settings.origin.connections,
        waiters=settings.origin.waiters,
        beacons_per_address=settings.origin.beacons_per_address,
        quality_s=settings.origin.quality_s,
        beacons_per_s=settings.origin.beacons_per_s,
        whep=settings.whep.enabled,
    )
    chat = HandoffSender(*(_chat_socket(context, worker) for worker in range(settings.chat.workers)))
    local, fed = await context.local(), await context.fed()
    whip = HandoffSender(_whip_socket(context))
    handoffs = {"/chat/": chat, "/streams/": chat, "/irc": chat, "/whip": whip}
    if settings.whep.enabled:
        handoffs["/whep"] = HandoffSender(context.sockets / _WHEP_SOCKET)
    return OriginService(
        config, local=local, fed=fed, handoffs=handoffs, on_failure=context.fail, tls=_server_tls(settings.tls)
    )


async def _whep(context: RoleContext) -> Service:
    from edge.whep.config import WhepConfig
    from edge.whep.service import WhepService

    return WhepService(
        WhepConfig.of(context.settings),
        local=await context.local(),
        fed=await context.fed(),
        socket_path=context.sockets / _WHEP_SOCKET,
        on_failure=context.fail,
    )


async def _chat(context: RoleContext) -> Service:
    from edge.chat.config import ChatConfig
    from edge.chat.service import ChatService

    settings = context.settings
    config = ChatConfig(
        edge_id=settings.node.edge_id,
        connections=settings.chat.connections,
        connections_per_address=settings.chat.connections_per_address,
        user_per_minute=settings.chat.user_per_minute,
        room_per_minute=settings.chat.room_per_minute,
        overall_per_minute=settings.chat.overall_per_minute,
        history=settings.chat.history,
        counters_url=settings.counters.url,
        host=settings.node.host,
        irc_port=settings.ports.irc,
        ircs_port=settings.ports.ircs,
    )
    return ChatService(
        config,
        fed=await context.fed(),
        local=await context.local(),
        socket_path=_chat_socket(context, context.worker),
        tls=_server_tls(settings.tls),
        on_failure=context.fail,
    )


def _server_tls(tls: TlsSettings) -> ServerTls | None:
    return ServerTls(Path(tls.certificate), Path(tls.key)) if tls.enabled else None


def _whip_socket(context: RoleContext) -> Path:
    return context.sockets / "whip.sock"


def _chat_socket(context: RoleContext, worker: int) -> Path:
    return context.sockets / f"chat-{worker}.sock"


ROLES: dict[str, Build] = {
    "agent": _agent,
    "ingest": _ingest,
    "transcode": _transcode,
    "recorder": _recorder,
    "origin": _origin,
    "chat": _chat,
    "whep": _whep,
}


def main(argv: list[str]) -> int:
    """Runs one role: `python -m edge ROLE --settings FILE [--worker N]`; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m edge")
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--worker", type=int, default=0)
    arguments = parser.parse_args(argv)
    return run_role(arguments.role, arguments.settings, ROLES[arguments.role], arguments.worker)
