"""What a node says about itself: the document behind `nearcast status`."""

from pathlib import Path

import msgspec

from appliance.engines.files import write_private
from appliance.runtime.settings import Settings


class RoleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the node."""

    name: str
    state: str
    pid: int | None
    restarts: int


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The node. `state`: starting, ready, degraded (something essential is down) or stopping."""

    state: str
    pid: int
    version: str
    endpoints: dict[str, str]
    roles: list[RoleStatus]


def endpoints(settings: Settings) -> dict[str, str]:
    """URLs of what this node offers now; `{channel}` and `{stream_id}` are for the reader to fill."""
    host, ports = settings.public_host, settings.ports
    web = f"http://{host}:{ports.http}"
    whep = {"whep": f"{web}/whep/{{channel}}"} if settings.whep.enabled else {}
    rtmps = {"rtmps": f"rtmps://{host}:{ports.rtmps}/live"} if settings.tls.enabled else {}
    ircs = {"ircs": f"ircs://{host}:{ports.ircs}"} if settings.tls.enabled else {}
    web_tls = {"web_tls": f"https://{host}:{ports.https}/"} if settings.tls.enabled else {}
    return {
        "rtmp": f"rtmp://{host}:{ports.rtmp}/live",
        **rtmps,
        "web": f"{web}/",
        **web_tls,
        "hls": f"{web}/live/{{channel}}/index.m3u8",
        "whip": f"{web}/whip",
        **whep,
        "chat": f"ws://{host}:{ports.http}/streams/{{stream_id}}/chat/subscribe",
        "irc": f"irc://{host}:{ports.irc}",
        **ircs,
        "api": f"http://{host}:{ports.api}/v1",
        "metrics": f"http://127.0.0.1:{ports.metrics}/metrics",
    }


def status_file(data: Path) -> Path:
    return data / "run" / "status.json"


def write_status(data: Path, status: NodeStatus) -> None:
    """Replaces the document."""
    write_private(status_file(data), msgspec.json.encode(status).decode())


def read_status(data: Path) -> NodeStatus | None:
    """The document as last written; None when there is none that can be read."""
    try:
        return msgspec.json.decode(status_file(data).read_bytes(), type=NodeStatus)
    except (OSError, msgspec.DecodeError):
        return None
