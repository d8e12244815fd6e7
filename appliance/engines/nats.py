"""nats-server twice, as in production: the centre's hub and the edge's leaf with its own JetStream domain."""

import asyncio
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from appliance.contracts.errors import ConfigError
from appliance.engines.child import Child, confined
from appliance.engines.files import Account, make_directory, secret_file, write_private
from appliance.engines.nats_identity import Key, account_token, credentials, operator_token
from appliance.engines.store_watch import StoreWatch
from appliance.runtime.settings import Settings

_COMMON = """\
max_payload: 8MB
write_deadline: "10s"
ping_interval: "10s"
"""
_SLACK_S = 0.001


@dataclass(frozen=True, slots=True)
class NatsFacts:
    """What roles need to connect."""

    local_url: str
    fed_url: str
    hub_url: str
    hub_credentials: str


class NatsEngine:
    """Prepares both servers below `home` and describes their processes."""

    def __init__(self, settings: Settings, home: Path, account: Account | None) -> None:
        self._settings = settings
        self._home = home
        self._account = account
        self._binary = _binary()

    def prepare(self) -> NatsFacts:
        """Writes keys, credentials and configurations; existing keys are kept. ConfigError."""
        if any(letter in str(self._home) for letter in '"\\\n'):  # which the configuration would have to escape
            raise ConfigError(f"{self._home}: the servers need a path without quotation marks and backslashes")
        keys = make_directory(self._home / "keys", self._account)
        make_directory(self._home / "hub", self._account)
        make_directory(self._home / "edge", self._account)
        operator, system = Key.load(keys / "operator.nk", "operator"), Key.load(keys / "system.nk", "account")
        fed, scope = Key.load(keys / "fed.nk", "account"), Key.load(keys / "scope.nk", "account")
        edge_id = self._settings.node.edge_id
        edge_user, centre = Key.load(keys / "edge.nk", "user"), Key.load(keys / "centre.nk", "user")
        edge_file, centre_file = keys / "edge.creds", keys / "centre.creds"
        write_private(edge_file, credentials(fed, scope, edge_user, edge_id, scoped=True), self._account)
        write_private(centre_file, credentials(fed, fed, centre, "centre", scoped=False), self._account)
        operator_file = self._home / "operator.jwt"
        write_private(operator_file, operator_token(operator, system.public), self._account)
        tokens = {
            system.public: account_token(operator, system, "SYS", jetstream=False),
            fed.public: account_token(operator, fed, "FED", jetstream=True, scope=scope),
        }
        local, app = secret_file(keys / "local.password"), secret_file(keys / "fed.password")
        write_private(self._home / "hub.conf", self._hub(operator_file, system.public, tokens), self._account)
        write_private(self._home / "edge.conf", self._edge(local, app, edge_file), self._account)
        ports = self._settings.ports
        return NatsFacts(
            f"nats://local:{local}@127.0.0.1:{ports.nats}",
            f"nats://fed:{app}@127.0.0.1:{ports.nats}",
            f"nats://127.0.0.1:{ports.nats_hub}",
            str(centre_file),
        )

    def children(self) -> list[Child]:
        """The hub and the leaf."""
        ports = self._settings.ports
        return [
            self._child("nats-hub", "hub.conf", ports.nats_hub, {}),
            self._child("nats-edge", "edge.conf", ports.nats, _edge_environment(len(os.sched_getaffinity(0)))),
        ]

    def _child(self, name: str, file: str, port: int, environment: dict[str, str]) -> Child:
        argv = [str(self._binary), "-c", str(self._home / file)]
        return Child(
            name,
            confined(argv, self._account, [self._home / file, self._binary], signal.SIGTERM),
            stage=0,
            environment=environment,
            directory=self._home,
            ready=lambda: _greets(port),
            watch=lambda log: StoreWatch(log, self._home),
            slack_s=_SLACK_S,
        )

    def _hub(self, operator_file: Path, system: str, tokens: dict[str, str]) -> str:
        ports = self._settings.ports
        preload = "\n".join(f"  {public}: {token}" for public, token in tokens.items())
        return f"""server_name: hub
listen: "127.0.0.1:{ports.nats_hub}"
{_COMMON}operator: "{operator_file}"
system_account: {system}
resolver: {{ type: full, dir: "{self._home}/hub/accounts", allow_delete: true, interval: "2m" }}
resolver_preload: {{
{preload}
}}
jetstream {{ store_dir: "{self._home}/hub/jetstream", domain: hub, max_mem: 64MB, max_file: 4GB }}
leafnodes {{ listen: "127.0.0.1:{ports.nats_leaf}", no_advertise: true, compression: s2_auto }}
"""

    def _edge(self, local: str, fed: str, edge_file: Path) -> str:
        ports, edge_id = self._settings.ports, self._settings.node.edge_id
        room = (self._settings.media.log_bytes + self._settings.chat.outbox_bytes) // (1 << 20) + 1024
        return f"""server_name: {edge_id}
listen: "127.0.0.1:{ports.nats}"
{_COMMON}system_account: SYS
accounts {{
  SYS {{ users: [] }}
  LOCAL {{ jetstream: enabled, users: [ {{ user: local, password: "{local}" }} ] }}
  FED {{ jetstream: enabled, users: [ {{ user: fed, password: "{fed}" }} ] }}
}}
jetstream {{
  store_dir: "{self._home}/edge/jetstream"
  domain: {edge_id}
  sync_interval: always
  max_mem: 64MB
  max_file: {room}MB
}}
leafnodes {{
  reconnect: "500ms"
  remotes: [ {{
    url: "nats-leaf://127.0.0.1:{ports.nats_leaf}"
    credentials: "{edge_file}"
    account: FED
    compression: s2_auto
  }} ]
}}
"""


def _edge_environment(cores: int) -> dict[str, str]:
    """How the server that keeps the part log runs, on a machine of so many cores.

    Media that was written or read in the last ten seconds stays in its memory, in blocks of 8 MB that hold no
    pointers: collecting garbage costs little, letting it grow as large as what lives doubles the memory. Threads
    that look for work take a fifth of its time; on half of the cores there are fewer of them.
    """
    return {"GOGC": "30", "GOMAXPROCS": str(max(1, cores // 2))}


def _binary() -> Path:
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise ConfigError("nats-server is not installed")
    return Path(found)


async def _greets(port: int) -> bool:
    """Whether the server on `port` sends its greeting."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        async with asyncio.timeout(1.0):
            return (await reader.readline()).startswith(b"INFO ")
    except (TimeoutError, OSError):
        return False
    finally:
        writer.close()
