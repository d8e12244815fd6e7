"""The settings of a node: one typed tree, each leaf with its default, unit and one line of documentation.

Sources, later ones win: the defaults below, a TOML file, environment variables NEARCAST__SECTION__KEY.
Unknown keys and wrong types are refused by name, with the nearest known key as a suggestion.
"""

import dataclasses
import difflib
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appliance.contracts.errors import ConfigError

ENV_PREFIX = "NEARCAST__"
Texts = tuple[str, ...]  # an array of strings in TOML, separated by commas in the environment


_REST = ("never", "idle")
POSTGRESQL, CASSANDRA = "postgresql", "cassandra"
_RUNGS = ("1080p", "720p", "480p", "360p", "160p")


def _leaf(default: Any, unit: str, doc: str, *, secret: bool = False, choices: Texts = ()) -> Any:
    metadata = {"unit": unit, "doc": doc, "secret": secret, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, slots=True)
class NodeSettings:
    edge_id: str = _leaf("edge1", "name", "Name of this edge; part of subjects, so letters and digits only.")
    data_dir: str = _leaf("", "path", "Where everything this node keeps lies; empty: chosen by the command.")
    socket_dir: str = _leaf("", "path", "Where roles leave their unix sockets; empty: chosen by the command.")
    host: str = _leaf("127.0.0.1", "address", "Address that encoders and viewers reach; loopback by default.")
    hung_s: float = _leaf(
        20.0, "s", "A process without a sign of life for so long is ended and started again; 0: never."
    )
    public_host: str = _leaf("", "name", "Host name written into URLs; empty: the host above.")


@dataclasses.dataclass(frozen=True, slots=True)
class PortSettings:
    http: int = _leaf(8080, "port", "Viewers: pages, playlists, media, chat.")
    https: int = _leaf(8443, "port", "The same over TLS.")
    rtmp: int = _leaf(1935, "port", "Encoders over RTMP.")
    rtmps: int = _leaf(1936, "port", "Encoders over RTMP in TLS.")
    webrtc: int = _leaf(8189, "port", "WebRTC media of publishers, UDP and TCP.")
    irc: int = _leaf(6667, "port", "Chat over IRC.")
    ircs: int = _leaf(6697, "port", "Chat over IRC in TLS.")
    api: int = _leaf(8000, "port", "The coordinator's API and console.")
    nats: int = _leaf(4222, "port", "NATS clients of the edge.")
    nats_leaf: int = _leaf(7422, "port", "Leaf nodes that join the centre's hub.")
    metrics: int = _leaf(9464, "port", "Prometheus metrics of every role.")
    nats_hub: int = _leaf(4223, "port", "NATS clients of the centre's hub.")
    webrtc_out: int = _leaf(8190, "port", "WebRTC media to viewers, UDP and TCP.")


@dataclasses.dataclass(frozen=True, slots=True)
class TlsSettings:
    enabled: bool = _leaf(True, "yes/no", "Whether the TLS ports are opened.")
    certificate: str = _leaf("", "path", "PEM chain, leaf first; empty: a self-signed one is made.")
    key: str = _leaf("", "path", "PEM key of the certificate.")
    acme_dir: str = _leaf("", "path", "Folder of ACME challenges, as certbot's webroot; empty: none are answered.")


@dataclasses.dataclass(frozen=True, slots=True)
class BusSettings:
    local_url: str = _leaf("", "url", "NATS, account that never leaves the site (media).", secret=True)
    fed_url: str = _leaf("", "url", "NATS, account that crosses the leaf link.", secret=True)
    hub_url: str = _leaf("", "url", "NATS at the centre, for the coordinator.")
    hub_credentials: str = _leaf("", "path", "Credentials file for the hub.")


@dataclasses.dataclass(frozen=True, slots=True)
class MediaSettings:
    part_target_s: float = _leaf(0.35, "s", "Longest part; fixed for a broadcast.")
    segment_target_s: float = _leaf(2.0, "s", "Segments close at the first key frame after 0.9 of this.")
    chunk_s: float = _leaf(0.1, "s", "Mean chunk of the source rendition, so that transcoders work inside a part.")
    log_age_s: float = _leaf(180.0, "s", "How long the part log keeps media.")
    log_bytes: int = _leaf(4 << 30, "bytes", "Most the part log may take on disk.")


@dataclasses.dataclass(frozen=True, slots=True)
class IngestSettings:
    handshake_s: float = _leaf(10.0, "s", "From connect to publish; slower clients are closed.")
    idle_s: float = _leaf(15.0, "s", "A publisher that sends nothing for so long is taken for dead.")
    grace_s: float = _leaf(60.0, "s", "A publisher who is back within this goes on in the same broadcast.")
    stop_grace_s: float = _leaf(10.0, "s", "The same after the encoder said that it stops.")
    spool_bytes: int = _leaf(64 << 20, "bytes", "Held per process while the log is away, then back-pressure.")
    connections_per_address: int = _leaf(64, "connections", "Most RTMP connections from one address.")
    connections: int = _leaf(2000, "connections", "Most RTMP connections of one process.")
    workers: int = _leaf(1, "processes", "Ingest processes sharing the encoders' ports.")
    # ruff: noqa: RUF009 - _leaf makes an immutable field, which the rule cannot see for a tuple
    proxy_from: Texts = _leaf((), "addresses", "Balancers whose PROXY protocol headers are believed.")
    standby_stall_s: float = _leaf(0.8, "s", "Silence of the encoder on the air before the other one goes on.")
    standby_return_s: float = _leaf(10.0, "s", "How long the preferred encoder must be well to come back.")
    drain_s: float = _leaf(10.0, "s", "Time given to encoders that were asked to connect elsewhere.")
    drain_to: str = _leaf("", "url", "Where they are sent, rtmp://HOST/live; empty: another process here.")
    ice_hosts: Texts = _leaf((), "addresses", "Where WebRTC peers reach this node; empty: its own addresses.")
    ice_servers: Texts = _leaf((), "urls", "STUN and TURN servers told to WebRTC peers.")
    webrtc_start_kbps: int = _leaf(1500, "kbit/s", "What a browser's video encoder begins with.")
    takeovers_per_minute: int = _leaf(4, "times", "Take-overs of one channel before they are refused.")


@dataclasses.dataclass(frozen=True, slots=True)
class TranscodeSettings:
    enabled: bool = _leaf(True, "yes/no", "Whether this node transcodes.")
    workers: int = _leaf(1, "processes", "Transcoder processes; each takes several broadcasts.")
    broadcasts: int = _leaf(32, "broadcasts", "Most broadcasts of one process, whatever they cost.")
    cores: float = _leaf(0.0, "cores", "What the transcoders of a machine may use; 0: 0.7 of what it has.")
    on_demand: str = _leaf("never", "never|idle", "idle: rungs nobody asked for in a minute rest.", choices=_REST)
    popular: int = _leaf(10, "viewers", "With so many, no rung of a broadcast rests.")
    engines: Texts = _leaf(("auto",), "names", "Encoders in order; auto: hardware that passes its test, then x264.")
    zero_copy: bool = _leaf(True, "yes/no", "With nvenc the card decodes and scales too, if it passes the test.")
    preset: str = _leaf("superfast", "name", "x264 preset.")
    # ruff: noqa: RUF009 - _leaf makes an immutable field, which the rule cannot see for a tuple
    rungs: Texts = _leaf(_RUNGS[:-1], "names", "Rungs of a channel, below its source.", choices=_RUNGS)
    partner_rungs: Texts = _leaf(_RUNGS, "names", "The same of a partner's channel.", choices=_RUNGS)
    lease_ttl_s: float = _leaf(2.0, "s", "A worker that is silent for so long loses its broadcast.")
    preview_s: float = _leaf(10.0, "s", "Between two pictures of a live broadcast; 0: no pictures.")
    storyboard_s: float = _leaf(10.0, "s", "Between two tiles of its storyboard; 0: no storyboard.")
    pictures_bytes: int = _leaf(128 << 20, "bytes", "Most the pictures of all broadcasts may take on disk.")


@dataclasses.dataclass(frozen=True, slots=True)
class RecorderSettings:
    enabled: bool = _leaf(True, "yes/no", "Whether this node keeps broadcasts on disk, so that viewers can rewind.")
    window_s: float = _leaf(7200.0, "s", "How far viewers can rewind; twice as much is kept.")
    most_bytes: int = _leaf(64 << 30, "bytes", "Most that may take on disk; the oldest goes first.")
    spare_bytes: int = _leaf(2 << 30, "bytes", "So much of the disk is left to others.")


@dataclasses.dataclass(frozen=True, slots=True)
class OriginSettings:
    workers: int = _leaf(1, "processes", "Origin processes sharing the viewer port.")
    window_s: float = _leaf(60.0, "s", "Media kept in memory, and the live playlist where there is no recorder.")
    idle_s: float = _leaf(60.0, "s", "A broadcast nobody asked for in so long is no longer followed.")
    store_bytes: int = _leaf(1 << 30, "bytes", "Parts held in memory by one origin process.")
    connections: int = _leaf(20_000, "connections", "Most viewer connections of one process.")
    waiters: int = _leaf(20_000, "requests", "Most held requests of one process.")
    beacons_per_address: int = _leaf(6_000, "reports", "Players' reports from one address in a minute.")
    quality_s: float = _leaf(10.0, "s", "Between two batches of what viewers got, told to the centre.")
    beacons_per_s: int = _leaf(2_000, "reports", "Reports one process takes; beyond them it takes a share.")


@dataclasses.dataclass(frozen=True, slots=True)
class WhepSettings:
    enabled: bool = _leaf(True, "yes/no", "Whether viewers can watch by WebRTC.")
    viewers: int = _leaf(200, "viewers", "Most WebRTC viewers.")
    most_kbps: int = _leaf(1_000_000, "kbit/s", "Most that goes out to all WebRTC viewers together.")
    start_kbps: int = _leaf(8_000, "kbit/s", "A viewer begins with the best rendition within this.")


@dataclasses.dataclass(frozen=True, slots=True)
class ChatSettings:
    workers: int = _leaf(1, "processes", "Chat gateway processes.")
    connections: int = _leaf(20_000, "connections", "Most chat connections of one process.")
    connections_per_address: int = _leaf(1000, "connections", "Most chat connections from one address.")
    user_per_minute: int = _leaf(20, "messages", "Messages a user may send in a minute.")
    room_per_minute: int = _leaf(10_000, "messages", "Messages that may be sent in a room in a minute.")
    overall_per_minute: int = _leaf(1_000_000, "messages", "Messages that may be sent in all rooms in a minute.")
    history: int = _leaf(50, "messages", "Last messages a client gets when it connects.")
    outbox_bytes: int = _leaf(2 << 30, "bytes", "Most the outbox may take on disk; then messages are refused.")


@dataclasses.dataclass(frozen=True, slots=True)
class CoordinatorSettings:
    enabled: bool = _leaf(True, "yes/no", "Whether this node runs the coordinator.")
    dsn: str = _leaf("", "dsn", "PostgreSQL connection string.", secret=True)
    pool: int = _leaf(4, "connections", "Most PostgreSQL connections.")
    chat_store: str = _leaf(
        POSTGRESQL,
        "postgresql|cassandra",
        "Where the history of chat is kept; the section below says where that Cassandra is.",
        choices=(POSTGRESQL, CASSANDRA),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class CassandraSettings:
    contact_points: Texts = _leaf((), "addresses", "Nodes that are asked first; from them the others are known.")
    port: int = _leaf(9042, "port", "CQL, on every node.")
    data_centre: str = _leaf("datacenter1", "name", "The data centre whose nodes are asked, as nodetool names it.")
    keyspace: str = _leaf("nearcast", "name", "Made when it is missing.")
    replication: int = _leaf(
        0, "copies", "Copies in the data centre, when the keyspace is made; 0: one a node, at most three."
    )
    user: str = _leaf("", "name", "Empty: no authentication.")
    password: str = _leaf("", "password", "Of that user.", secret=True)
    tls: bool = _leaf(False, "yes/no", "Whether TLS is spoken; the nodes' certificates name their addresses.")
    authority: str = _leaf("", "path", "PEM of who vouches for the certificates; empty: whom the system trusts.")
    certificate: str = _leaf("", "path", "PEM certificate this side shows; empty: none.")
    key: str = _leaf("", "path", "PEM key of that certificate.")


@dataclasses.dataclass(frozen=True, slots=True)
class CounterSettings:
    url: str = _leaf("", "url", "Redis or Valkey, for limits and presence; empty: each process counts alone.")


@dataclasses.dataclass(frozen=True, slots=True)
class LogSettings:
    format: str = _leaf("auto", "auto|json|console", "Form of log lines; auto: console on a terminal.")
    level: str = _leaf("info", "level", "debug, info, warning or error.")


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """The whole tree. Frozen: a process reads its settings once, at start."""

    node: NodeSettings = dataclasses.field(default_factory=NodeSettings)
    ports: PortSettings = dataclasses.field(default_factory=PortSettings)
    tls: TlsSettings = dataclasses.field(default_factory=TlsSettings)
    bus: BusSettings = dataclasses.field(default_factory=BusSettings)
    media: MediaSettings = dataclasses.field(default_factory=MediaSettings)
    ingest: IngestSettings = dataclasses.field(default_factory=IngestSettings)
    transcode: TranscodeSettings = dataclasses.field(default_factory=TranscodeSettings)
    recorder: RecorderSettings = dataclasses.field(default_factory=RecorderSettings)
    origin: OriginSettings = dataclasses.field(default_factory=OriginSettings)
    whep: WhepSettings = dataclasses.field(default_factory=WhepSettings)
    chat: ChatSettings = dataclasses.field(default_factory=ChatSettings)
    coordinator: CoordinatorSettings = dataclasses.field(default_factory=CoordinatorSettings)
    cassandra: CassandraSettings = dataclasses.field(default_factory=CassandraSettings)
    counters: CounterSettings = dataclasses.field(default_factory=CounterSettings)
    log: LogSettings = dataclasses.field(default_factory=LogSettings)

    @property
    def public_host(self) -> str:
        """Host name for URLs: an address of IPv6 is in brackets."""
        host = self.node.public_host or self.node.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            return "127.0.0.1"
        return f"[{host}]" if ":" in host and not host.startswith("[") else host

    @property
    def data_dir(self) -> Path:
        return Path(self.node.data_dir)

    @property
    def spool_dir(self) -> Path:
        """Where the recorder keeps finished segments."""
        return self.data_dir / "spool"

    @property
    def rewind_s(self) -> float:
        """How far back viewers can go: as far as the recorder keeps media, or the part log where there is none."""
        return max(self.media.log_age_s, self.recorder.window_s if self.recorder.enabled else 0.0)


def load(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """Reads the tree from a TOML file and the environment.

    Raises ConfigError naming the key when the file cannot be read, a key is unknown, or a value has the
    wrong type.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{file}: {error}") from error
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX):
            _put_environment(values, name, text)
    return replace(Settings(), values)


def replace(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """`settings` with nested `values` laid over it, checked like a file."""
    sections = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    for section, content in values.items():
        if section not in sections:
            raise ConfigError(_unknown(section, list(sections)))
        if not isinstance(content, Mapping):
            raise ConfigError(f"{section}: expected a table of settings")
        sections[section] = _fill(section, sections[section], content)
    return Settings(**sections)


def _fill(section: str, current: Any, content: Mapping[str, Any]) -> Any:
    hints = typing.get_type_hints(type(current))
    choices = {leaf.name: leaf.metadata["choices"] for leaf in dataclasses.fields(current)}
    changes: dict[str, Any] = {}
    for key, value in content.items():
        if key not in hints:
            raise ConfigError(_unknown(f"{section}.{key}", [f"{section}.{name}" for name in hints]))
        changes[key] = _typed(f"{section}.{key}", value, hints[key])
        _check_choice(f"{section}.{key}", changes[key], choices[key])
    return dataclasses.replace(current, **changes)


def _typed(name: str, value: Any, expected: Any) -> Any:
    if expected == Texts:
        if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
            raise ConfigError(f"{name}: expected an array of strings, got {value!r}")
        return tuple(value)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(f"{name}: expected {expected.__name__}, got {value!r}")
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        raise ConfigError(f"{name}: must not be negative")
    return value


def _check_choice(name: str, value: Any, choices: Texts) -> None:
    """ConfigError when one of the texts is none of the choices; without any, all are good."""
    for text in (value if isinstance(value, tuple) else (value,)) if choices else ():
        if text not in choices:
            near = difflib.get_close_matches(str(text), choices, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(choices)}"
            raise ConfigError(f"{name}: unknown {text!r}, {hint}")


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"unknown setting {name}" + (f", did you mean {near[0]}?" if near else "")


def _put_environment(values: dict[str, Any], name: str, text: str) -> None:
    tokens = name[len(ENV_PREFIX) :].lower().split("__")
    if len(tokens) != 2:
        raise ConfigError(f"{name}: expected {ENV_PREFIX}SECTION__KEY")
    section, key = tokens
    defaults = getattr(Settings(), section, None)
    expected = typing.get_type_hints(type(defaults)).get(key) if defaults is not None else None
    values.setdefault(section, {})[key] = _from_text(name, text, expected)


def _from_text(name: str, text: str, expected: Any) -> Any:
    if expected == Texts:
        return [word.strip() for word in text.split(",") if word.strip()]
    try:
        if expected is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        if expected in (int, float):
            return expected(text)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{name}: {text!r} is not {expected.__name__}") from error
    return text


def to_toml(settings: Settings, *, documented: bool = False, reveal: bool = True) -> str:
    """The tree as TOML. `documented` adds unit and meaning; secrets are dots unless `reveal`."""
    lines: list[str] = []
    for section in dataclasses.fields(settings):
        value = getattr(settings, section.name)
        lines.append(f"[{section.name}]")
        for leaf in dataclasses.fields(value):
            content = getattr(value, leaf.name)
            if leaf.metadata["secret"] and content and not reveal:
                content = "(hidden)"
            if documented:
                lines.append(f"# {leaf.metadata['doc']} ({leaf.metadata['unit']})")
            lines.append(f"{leaf.name} = {_toml(content)}")
        lines.append("")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(text) for text in value)}]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def with_port_base(settings: Settings, base: int) -> Settings:
    """Ports base+0, base+1, ... in the order of `PortSettings`."""
    names = [field.name for field in dataclasses.fields(PortSettings)]
    if not 1 <= base <= 65535 - len(names):
        raise ConfigError(f"port base {base}: must leave room for {len(names)} ports below 65536")
    return dataclasses.replace(settings, ports=PortSettings(**{name: base + i for i, name in enumerate(names)}))
