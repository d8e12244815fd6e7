"""Whether the cluster answers that keeps the history of chat; a node runs on without it."""

import socket

from appliance.doctor.findings import Finding
from appliance.runtime.settings import CASSANDRA, Settings

_ANSWER_S = 2.0
_OPTIONS = bytes([4, 0, 0, 0, 5, 0, 0, 0, 0])  # native protocol, version 4: header, opcode 5, no body
_SUPPORTED = 6
_HEADER = 9
_ADVICE = "start it, or correct cassandra.contact_points and cassandra.port; until then chat waits in the outbox"


def chat_history(settings: Settings) -> list[Finding]:
    """One finding for each contact point, none when the history lies in PostgreSQL."""
    if settings.coordinator.chat_store != CASSANDRA or not settings.coordinator.enabled:
        return []
    points = settings.cassandra.contact_points
    if not points:
        return [Finding("cassandra", "no contact point", "set cassandra.contact_points")]
    return [_point(address, settings.cassandra.port) for address in points]


def _point(address: str, port: int) -> Finding:
    name = f"cassandra {address}"
    try:
        with socket.create_connection((address, port), _ANSWER_S) as connection:
            connection.settimeout(_ANSWER_S)
            connection.sendall(_OPTIONS)
            answer = connection.recv(_HEADER)
    except OSError as error:
        return Finding(name, f"port {port}: {error.strerror or error}", _ADVICE)
    speaks = len(answer) == _HEADER and answer[4] == _SUPPORTED
    return Finding(name, f"port {port} {'speaks' if speaks else 'does not speak'} CQL", "" if speaks else _ADVICE)
