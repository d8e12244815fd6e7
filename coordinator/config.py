"""What the coordinator needs to be told. The node's settings tree is turned into this by the caller."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeEndpoint:
    """Where one edge is reached from outside. Bases carry scheme, host and port, and no path."""

    edge_id: str
    http_base: str  # such as https://lyon.example:8443
    rtmp_base: str  # such as rtmp://lyon.example:1935; the application /live is added
    ws_base: str  # such as wss://lyon.example:8443


@dataclass(frozen=True, slots=True)
class Quota:
    """A rate one token may keep up, with the burst it may spend at once."""

    per_minute: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CassandraCluster:
    """Where the history of chat lies when it does not lie in PostgreSQL."""

    contact_points: tuple[str, ...]
    port: int = 9042
    data_centre: str = "datacenter1"  # whose nodes are asked
    keyspace: str = "nearcast"
    replication: int = 0  # copies in the data centre when the keyspace is made; 0: one a node, at most three
    user: str = ""  # empty: without authentication
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None  # None: in the clear


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorConfig:
    """Settings of the control plane; times in the unit of their suffix."""

    dsn: str  # libpq connection string; several hosts are allowed
    version: str = "dev"  # shown in the API description
    host: str = "127.0.0.1"
    port: int = 8000  # 0: any free port
    edges: list[EdgeEndpoint] = field(default_factory=list)  # nearest first until routing decides
    pool_size: int = 4
    max_body_bytes: int = 64 * 1024
    post_quota: Quota = Quota(120, 60)
    start_quota: Quota = Quota(10, 10)  # POST /streams
    operator_quota: Quota = Quota(6000, 1000)
    reconcile_s: float = 60.0
    directory_wait_s: float = 2.0  # how long a call waits for its change to reach the directory
    chat_timeout_s: float = 2.0
    pull_batch: int = 1000
    pull_wait_s: float = 5.0
    announced_key_days: int = 30  # life of a stream key made by POST /streams
    cassandra: CassandraCluster | None = None  # None: the history of chat is in PostgreSQL
    grant_keys: Path | None = None  # folder of the private keys that sign grants; None: they live in memory
    drain_s: float = 5.0
