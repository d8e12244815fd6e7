"""What the WHIP server may be told."""

import dataclasses

from appliance.runtime.settings import Settings
from edge.net.addresses import candidate_hosts


@dataclasses.dataclass(frozen=True, slots=True)
class WhipConfig:
    """Times in seconds. `hosts` are addresses that publishers reach; `ice_servers` are STUN or TURN URLs."""

    host: str
    port: int
    hosts: tuple[str, ...]
    ice_servers: tuple[str, ...] = ()
    start_kbps: int = 1500
    key_every_s: float = 2.0  # between key frames: browsers make them only when asked
    connect_s: float = 15.0  # from the offer to media that can flow
    idle_s: float = 15.0  # a publisher that sends nothing for so long is taken for dead
    sessions: int = 500
    sessions_per_address: int = 32
    connections: int = 2000  # HTTP, and TCP for media
    request_s: float = 10.0  # from the first byte of a request to its last
    close_s: float = 2.0

    @classmethod
    def of(cls, settings: Settings) -> "WhipConfig":
        """What the node's settings say."""
        node, ingest = settings.node, settings.ingest
        return cls(
            host=node.host,
            port=settings.ports.webrtc,
            hosts=candidate_hosts(ingest.ice_hosts, node.host),
            ice_servers=ingest.ice_servers,
            start_kbps=ingest.webrtc_start_kbps,
            key_every_s=settings.media.segment_target_s,
            idle_s=ingest.idle_s,
            sessions=ingest.connections,
            sessions_per_address=ingest.connections_per_address,
        )
