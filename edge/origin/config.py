"""What the origin may be told."""

import dataclasses
from pathlib import Path

SLACK = 1024  # connections beyond the limit that are told so before they are closed


@dataclasses.dataclass(frozen=True, slots=True)
class OriginConfig:
    """Limits and places of one origin process. Times in seconds."""

    edge_id: str = "edge1"
    host: str = "127.0.0.1"
    port: int = 8080
    https_port: int = 8443
    rtmp_port: int = 1935  # told to streamers
    reuse_port: bool = True
    pages: Path | None = None  # folder of the built web pages
    acme_dir: Path | None = None  # folder of answers to ACME's challenges
    window_s: float = 60.0  # media kept in memory, and the length of the live playlist where there is no spool
    spool: Path | None = None  # where the site's recorder keeps finished segments
    rewind_s: float = 0.0  # length of the live playlist where there is a spool
    archive_bytes: int = 64 << 20  # segments of the spool kept for a moment
    min_segments: int = 6  # whatever the window says [Apple 8.11]
    idle_s: float = 60.0  # a broadcast nobody asked for in so long is no longer followed
    store_bytes: int = 1 << 30  # chunks held by this process
    picture_bytes: int = 16 << 20  # pictures kept for a moment by this process
    connections: int = 20_000
    waiters: int = 20_000  # held requests
    event_clients: int = 5_000  # of /live/events
    health_clients: int = 500  # of /live/CHANNEL/health
    handshakes: int = 1000  # TLS connections that have not said hello completely
    handshake_s: float = 10.0
    beacons_per_address: int = 6_000  # a minute
    quality_s: float = 10.0  # between two batches for the centre
    beacons_per_s: int = 2_000  # of the process; beyond them a share of the sessions is left out
    head_s: float = 10.0  # from the first byte of a request to its last
    idle_connection_s: float = 75.0  # between requests
    stall_s: float = 20.0  # a client that takes no byte for so long is cut
    complete_s: float = 3.0  # how long the multivariant playlist waits for missing renditions
    drain_s: float = 5.0
    whep: bool = False  # whether viewers can watch by WebRTC
    connect_sources: tuple[str, ...] = ()  # further origins that pages may talk to
