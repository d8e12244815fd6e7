"""What the WHEP server may be told."""

import dataclasses

from appliance.runtime.settings import Settings
from edge.net.addresses import candidate_hosts


@dataclasses.dataclass(frozen=True, slots=True)
class WhepConfig:
    """Times in seconds. `hosts` are addresses that viewers reach; `ice_servers` are STUN or TURN URLs."""

    host: str
    port: int
    hosts: tuple[str, ...]
    ice_servers: tuple[str, ...] = ()
    viewers: int = 200
    most_bits_per_s: int = 1_000_000_000  # of all viewers together, by what their renditions may need
    start_bits_per_s: int = 8_000_000  # the best rendition within this is what a viewer begins with
    connect_s: float = 15.0  # from the offer to media that can flow
    idle_s: float = 15.0  # a viewer that answers nothing for so long is taken for gone
    ready_s: float = 3.0  # for the first picture of a broadcast that nobody watched yet
    connections: int = 2000  # HTTP, and TCP for media
    request_s: float = 10.0  # from the first byte of a request to its last
    close_s: float = 2.0

    @classmethod
    def of(cls, settings: Settings) -> "WhepConfig":
        """What the node's settings say."""
        node, ingest, whep = settings.node, settings.ingest, settings.whep
        return cls(
            host=node.host,
            port=settings.ports.webrtc_out,
            hosts=candidate_hosts(ingest.ice_hosts, node.host),
            ice_servers=ingest.ice_servers,
            viewers=whep.viewers,
            most_bits_per_s=whep.most_kbps * 1000,
            start_bits_per_s=whep.start_kbps * 1000,
        )
