"""Composition: the only module of the coordinator that names every part and joins them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sanic import Sanic

from appliance.contracts.errors import UnavailableError
from appliance.runtime.clock import now_ms
from coordinator.accounts import routes as account_routes
from coordinator.accounts.service import Accounts
from coordinator.api import server
from coordinator.api.dispatch import Dispatcher
from coordinator.api.route import Route
from coordinator.bridge import OutboxBridge
from coordinator.broadcasts import routes as broadcast_routes
from coordinator.broadcasts.service import Broadcasts
from coordinator.channels import routes as channel_routes
from coordinator.channels.service import Channels
from coordinator.chat_history import routes as chat_routes
from coordinator.chat_history.cassandra import CassandraChatStore
from coordinator.chat_history.ports import ChatStore
from coordinator.chat_history.postgresql import PostgresChatStore
from coordinator.chat_history.service import ChatHistory
from coordinator.client_configuration import routes as configuration_routes
from coordinator.client_configuration.service import ClientConfigurations
from coordinator.config import CoordinatorConfig
from coordinator.db import Database
from coordinator.directory import Directory
from coordinator.endpoints import Endpoints
from coordinator.entitlements import routes as entitlement_routes
from coordinator.entitlements.service import Entitlements
from coordinator.grants import routes as grant_routes
from coordinator.grants.keyring import Keyring
from coordinator.grants.service import Grants
from coordinator.keys import routes as key_routes
from coordinator.keys.service import Keys
from coordinator.markers import routes as marker_routes
from coordinator.markers.service import Markers
from coordinator.moderation import routes as moderation_routes
from coordinator.moderation.service import Moderations
from coordinator.playback import routes as playback_routes
from coordinator.playback.desk import GrantDesk
from coordinator.playback.service import PlaybackService
from coordinator.ports import Hub, PullConsumer
from coordinator.quality import routes as quality_routes
from coordinator.quality.service import Qualities
from coordinator.unit import Units

_PROBE_S = 2.0


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that runs, joined and not started."""

    app: Sanic[Any, Any]
    accounts: Accounts
    units: Units
    directory: Directory
    bridges: list[OutboxBridge]
    grants: Grants
    desk: GrantDesk
    chat_store: ChatStore


def build(
    config: CoordinatorConfig,
    database: Database,
    hub: Hub,
    is_draining: Callable[[], bool] = lambda: False,
) -> Parts:
    """Joins the coordinator; nothing runs yet."""
    endpoints = Endpoints(config.edges)
    directory = Directory(
        database,
        hub.directory(),
        hub.ensure_directory,
        interval_s=config.reconcile_s,
        wait_s=config.directory_wait_s,
    )
    units = Units(database, directory.announce)
    chat_store = _chat_store(config, database)
    accounts = Accounts(now_ms)
    channels = Channels(accounts, endpoints, now_ms)
    broadcasts = Broadcasts(accounts, channels, endpoints, now_ms, config.announced_key_days)
    chat = ChatHistory(units, chat_store, accounts, channels, broadcasts, endpoints, hub, config.chat_timeout_s)
    qualities = Qualities(broadcasts)
    moderations = Moderations(units, channels, broadcasts, endpoints, hub, config.chat_timeout_s)
    grants = Grants(Keyring(config.grant_keys), now_ms)
    entitlements = Entitlements(accounts, channels, grants, now_ms)
    playback = PlaybackService(broadcasts, channels, endpoints, entitlements, grants)
    routes = [
        *account_routes.routes(accounts),
        *channel_routes.routes(channels),
        *key_routes.routes(Keys(channels, endpoints, now_ms)),
        *broadcast_routes.routes(broadcasts),
        *playback_routes.routes(playback),
        *grant_routes.routes(grants),
        *entitlement_routes.routes(entitlements),
        *chat_routes.routes(chat),
        *moderation_routes.routes(moderations),
        *quality_routes.routes(qualities),
        *marker_routes.routes(Markers(units, broadcasts, endpoints, hub, config.chat_timeout_s)),
        *configuration_routes.routes(ClientConfigurations(endpoints, now_ms)),
    ]
    app = _application(config, units, accounts, routes)
    _add_probes(app, database, directory, chat_store, is_draining)
    later = Units(database, directory.announce_later)
    bridges = [
        _bridge(config, edge.edge_id, hub, later, chat_store, broadcasts, qualities, moderations)
        for edge in config.edges
    ]
    desk = GrantDesk(hub, units, accounts, playback)
    return Parts(app, accounts, units, directory, bridges, grants, desk, chat_store)


def _application(
    config: CoordinatorConfig, units: Units, accounts: Accounts, routes: list[Route]
) -> Sanic[Any, Any]:
    app: Sanic[Any, Any] = Sanic("coordinator", configure_logging=False)
    server.quiet()
    app.config.ACCESS_LOG = False
    app.config.TOUCHUP = False  # rewrites Sanic's own source once a process; a second app would then fail
    app.config.REQUEST_MAX_SIZE = config.max_body_bytes
    app.config.REQUEST_TIMEOUT = 15
    app.config.RESPONSE_TIMEOUT = 30
    app.config.KEEP_ALIVE_TIMEOUT = 60
    quotas = {"post": config.post_quota, "start": config.start_quota, "operator": config.operator_quota}
    dispatcher = Dispatcher(units, accounts, quotas, asyncio.get_running_loop().time)
    server.mount(app, routes, dispatcher, config.version)
    return app


def _add_probes(
    app: Sanic[Any, Any],
    database: Database,
    directory: Directory,
    chat_store: ChatStore,
    is_draining: Callable[[], bool],
) -> None:
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    async def ready() -> dict[str, str]:
        if is_draining():
            raise UnavailableError("draining", code="draining")
        await _answers("database", database.ping())
        await _answers("bus", directory.probe())
        return {"status": "ready", "chat_store": chat_store.name, "chat_history": await _state(chat_store)}

    server.add_probe(app, "/healthz", alive)
    server.add_probe(app, "/readyz", ready)


async def _state(chat_store: ChatStore) -> str:
    """Whether the history answers. Without it everything else works, and the bridge waits for it."""
    try:
        await _answers("history", chat_store.ping())
    except UnavailableError:
        return "away"
    return "answers"


def _chat_store(config: CoordinatorConfig, database: Database) -> ChatStore:
    if config.cassandra is not None:
        return CassandraChatStore(config.cassandra, database)
    return PostgresChatStore(database)


async def _answers(name: str, probe: Awaitable[None]) -> None:
    """UnavailableError naming the part whose probe fails or takes too long; the cause goes to the log."""
    try:
        async with asyncio.timeout(_PROBE_S):
            await probe
    except (TimeoutError, UnavailableError) as error:
        raise UnavailableError(f"the {name} does not answer", code=f"{name}_away") from error


def _bridge(
    config: CoordinatorConfig,
    edge_id: str,
    hub: Hub,
    units: Units,
    chat_store: ChatStore,
    broadcasts: Broadcasts,
    qualities: Qualities,
    moderations: Moderations,
) -> OutboxBridge:
    async def connect() -> PullConsumer:
        return await hub.outbox(edge_id)

    return OutboxBridge(
        edge_id,
        connect,
        units,
        chat_store,
        broadcasts,
        qualities,
        moderations,
        batch=config.pull_batch,
        wait_s=config.pull_wait_s,
    )
