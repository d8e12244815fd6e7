"""`python -m tests.bench.chat_gateway SOCKET NATS WINDOW`: a gateway without limits on what one client says."""

import asyncio
import sys
from pathlib import Path

import uvloop

from appliance.runtime.bus import Bus, Endpoint
from appliance.runtime.role import settle_memory
from edge.chat.config import ChatConfig
from edge.chat.service import ChatService

EDGE = "edge1"
_UNLIMITED = 1e9
_NEVER_S = 1e6


def configuration(window_s: float) -> ChatConfig:
    """Nobody is pinged or limited: the load says what is measured."""
    return ChatConfig(
        edge_id=EDGE, connections=100_000, connections_per_address=100_000, user_per_minute=1_000_000, history=0,
        window_s=window_s, batch_s=min(window_s, 0.02), ping_s=_NEVER_S, frames_per_s=_UNLIMITED,
        bytes_per_s=_UNLIMITED, slow_s=60.0,
    )  # fmt: skip


async def main(path: Path, url: str, window_s: float) -> None:
    """Serves until it is ended."""
    fed = await Bus.connect(Endpoint(url), name=f"{EDGE}.chat")
    local = await Bus.connect(Endpoint(url), name=f"{EDGE}.chat")
    service = ChatService(configuration(window_s), fed=fed, local=local, socket_path=path)
    await service.start()
    settle_memory()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
