"""The coordinator as a role's process: settings in, a service out, the operator's token kept in a file."""

import argparse
from pathlib import Path

from appliance import VERSION
from appliance.contracts.errors import ConfigError
from appliance.engines.files import make_directory, write_private
from appliance.runtime.role import RoleContext, run_role
from appliance.runtime.role import Service as RoleService
from appliance.runtime.settings import CASSANDRA, Settings
from appliance.runtime.tls import client_tls
from coordinator.config import CassandraCluster, CoordinatorConfig, EdgeEndpoint
from coordinator.hub import BusHub
from coordinator.service import CoordinatorService

ROLE = "coordinator"
GRANT_KEYS = Path("keys", "grants")
OPERATOR_TOKEN = Path("keys", "operator.token")


def config_of(settings: Settings) -> CoordinatorConfig:
    """The coordinator's configuration on a node whose one edge is itself."""
    host, ports = settings.public_host, settings.ports
    edge = EdgeEndpoint(
        edge_id=settings.node.edge_id,
        http_base=f"http://{host}:{ports.http}",
        rtmp_base=f"rtmp://{host}:{ports.rtmp}",
        ws_base=f"ws://{host}:{ports.http}",
    )
    return CoordinatorConfig(
        dsn=settings.coordinator.dsn,
        version=VERSION,
        host=settings.node.host,
        port=ports.api,
        edges=[edge],
        pool_size=settings.coordinator.pool,
        cassandra=_cassandra(settings),
        grant_keys=settings.data_dir / GRANT_KEYS,
    )


def _cassandra(settings: Settings) -> CassandraCluster | None:
    """ConfigError: the history is to lie in Cassandra, and nothing says where, or its TLS files are bad."""
    if settings.coordinator.chat_store != CASSANDRA:
        return None
    told = settings.cassandra
    if not told.contact_points:
        raise ConfigError("cassandra.contact_points: name at least one node, or leave coordinator.chat_store")
    return CassandraCluster(
        contact_points=told.contact_points,
        port=told.port,
        data_centre=told.data_centre,
        keyspace=told.keyspace,
        replication=told.replication,
        user=told.user,
        password=told.password,
        tls=client_tls(told.authority, told.certificate, told.key) if told.tls else None,
    )


class CoordinatorRole:
    """The service, and the operator's token of this installation in `token_file` before it is ready."""

    def __init__(self, service: CoordinatorService, token_file: Path) -> None:
        self._service = service
        self._token_file = token_file

    async def start(self) -> None:
        """Returns when the API listens and the token in the file is good."""
        await self._service.start()
        kept = self._token_file.read_text(encoding="utf-8").strip() if self._token_file.exists() else ""
        token = await self._service.ensure_operator(kept)
        if token is not None:
            make_directory(self._token_file.parent)
            write_private(self._token_file, token)

    async def drain(self) -> None:
        await self._service.drain()

    async def stop(self) -> None:
        await self._service.stop()


async def build(context: RoleContext) -> RoleService:
    """The role's service over the node's connection to the hub."""
    settings = context.settings
    service = CoordinatorService(config_of(settings), BusHub(await context.hub()), context.fail)
    return CoordinatorRole(service, settings.data_dir / OPERATOR_TOKEN)


def main(argv: list[str]) -> int:
    """Runs the role: `python -m coordinator coordinator --settings FILE`; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m coordinator")
    parser.add_argument("role", choices=[ROLE])
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--worker", type=int, default=0)
    arguments = parser.parse_args(argv)
    return run_role(ROLE, arguments.settings, build, arguments.worker)
