"""The role's process shell: configuration from the node's settings, the operator's token on disk."""

import dataclasses
import stat

from appliance.runtime.settings import Settings
from coordinator.role import CoordinatorRole, config_of
from coordinator.service import CoordinatorService


def test_configuration_of_a_node():
    settings = Settings()
    node = dataclasses.replace(settings.node, edge_id="lyon", host="0.0.0.0", public_host="")
    config = config_of(dataclasses.replace(settings, node=node))
    assert (config.host, config.port) == ("0.0.0.0", 8000)
    [edge] = config.edges
    assert (edge.edge_id, edge.rtmp_base) == ("lyon", "rtmp://127.0.0.1:1935")
    node = dataclasses.replace(node, host="2001:db8::7")
    [edge] = config_of(dataclasses.replace(settings, node=node)).edges
    assert (edge.http_base, edge.ws_base) == ("http://[2001:db8::7]:8080", "ws://[2001:db8::7]:8080")


async def test_token_is_kept_and_survives_a_restart(config, hub, tmp_path):
    file = tmp_path / "keys" / "operator.token"
    kept = []
    for _ in range(2):
        role = CoordinatorRole(CoordinatorService(config, hub), file)
        await role.start()
        kept.append(file.read_text())
        await role.drain()
        await role.stop()
    assert kept[0] == kept[1]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
