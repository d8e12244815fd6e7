"""The demo's processes."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from appliance.engines.child import Child
from appliance.runtime.settings import Settings
from appliance.supervisor.plan import python_child
from appliance.supervisor.status import endpoints


def demo_children(
    data: Path, settings: Settings, channel: dict[str, Any], people: list[dict[str, Any]]
) -> list[Child]:
    """Streamer of `channel` and the `people` who chat there. Secrets go by environment, never by argument."""
    urls = endpoints(settings)
    environment = {
        "NEARCAST_DEMO_RTMP": f"{urls['rtmp']}/{channel['stream_key']}",
        "NEARCAST_DEMO_CHAT": f"{urls['web']}chat/{channel['channel']}/chat",
        "NEARCAST_DEMO_PEOPLE": json.dumps([[person["user_id"], person["token"]] for person in people]),
    }
    children = []
    for name in ("streamer", "chatters"):
        argv = [sys.executable, "-m", f"appliance.demo.{name}"]
        child = python_child(f"demo-{name}", argv, data, stage=2, essential=False)
        children.append(dataclasses.replace(child, environment={**child.environment, **environment}))
    return children
