"""The URLs that encoders, viewers and chat clients are given."""

from collections.abc import Sequence

import msgspec

from coordinator.config import EdgeEndpoint


class Ingest(msgspec.Struct, frozen=True, kw_only=True):
    """Where an encoder may publish; the stream key is the stream's name, or the bearer token of WHIP."""

    edge_id: str
    rtmp_url: str
    whip_url: str


class Endpoints:
    """URLs over all edges. The edge that has the stream comes first, then the configured order."""

    def __init__(self, edges: Sequence[EdgeEndpoint]) -> None:
        if not edges:
            raise ValueError("the coordinator needs at least one edge")
        self._edges = list(edges)

    def _ordered(self, edge_id: str) -> list[EdgeEndpoint]:
        return sorted(self._edges, key=lambda edge: edge.edge_id != edge_id)

    def home(self, edge_id: str) -> str:
        """The edge to ask about a stream that was last seen on `edge_id`; the first when that is unknown."""
        return self._ordered(edge_id)[0].edge_id

    def ingests(self) -> list[Ingest]:
        return [
            Ingest(edge_id=edge.edge_id, rtmp_url=f"{edge.rtmp_base}/live", whip_url=f"{edge.http_base}/whip")
            for edge in self._edges
        ]

    def playback(self, channel: str, edge_id: str = "", grant: str = "") -> list[str]:
        return [f"{edge.http_base}{_before(grant)}/live/{channel}/index.m3u8" for edge in self._ordered(edge_id)]

    def thumbnail(self, channel: str, edge_id: str = "", grant: str = "") -> str:
        return f"{self._ordered(edge_id)[0].http_base}{_before(grant)}/thumb/{channel}.jpg"

    def chat(self, stream_id: str, edge_id: str = "") -> str:
        return f"{self._ordered(edge_id)[0].ws_base}/streams/{stream_id}/chat/subscribe"


def _before(grant: str) -> str:
    return f"/g/{grant}" if grant else ""
