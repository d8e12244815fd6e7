"""Whether the cluster answers that keeps the history of chat; a node runs on without it."""

import contextlib
import socket
import ssl

from appliance.contracts.errors import ConfigError
from appliance.doctor.findings import Finding
from appliance.runtime.settings import CASSANDRA, Settings
from appliance.runtime.tls import client_tls

_ANSWER_S = 2.0
_OPTIONS = bytes([4, 0, 0, 0, 5, 0, 0, 0, 0])  # native protocol, version 4: header, opcode 5, no body
_SUPPORTED = 6
_HEADER = 9
_ADVICE = "start it, or correct cassandra.contact_points and cassandra.port; until then chat waits in the outbox"
_ADVICE_TLS = "name who vouches for it in cassandra.authority; the certificate must have the node's address"


def chat_history(settings: Settings) -> list[Finding]:
    """One finding for each contact point, none when the history lies in PostgreSQL."""
    if settings.coordinator.chat_store != CASSANDRA or not settings.coordinator.enabled:
        return []
    points = settings.cassandra.contact_points
    if not points:
        return [Finding("cassandra", "no contact point", "set cassandra.contact_points")]
    told = settings.cassandra
    try:
        tls = client_tls(told.authority, told.certificate, told.key) if told.tls else None
    except ConfigError as error:
        return [Finding("cassandra", error.detail, "correct cassandra.authority, .certificate and .key")]
    return [_point(address, told.port, tls) for address in points]


def _point(address: str, port: int, tls: ssl.SSLContext | None) -> Finding:
    name = f"cassandra {address}"
    try:
        answer = _ask(address, port, tls)
    except ssl.SSLCertVerificationError as error:
        return Finding(name, f"port {port}: its certificate is refused: {error.verify_message}", _ADVICE_TLS)
    except OSError as error:
        return Finding(name, f"port {port}: {error.strerror or error}", _ADVICE)
    speaks = len(answer) == _HEADER and answer[4] == _SUPPORTED
    return Finding(name, f"port {port} {'speaks' if speaks else 'does not speak'} CQL", "" if speaks else _ADVICE)


def _ask(address: str, port: int, tls: ssl.SSLContext | None) -> bytes:
    """The header of the answer, shorter when it ends early. OSError, of which errors of TLS are a kind."""
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((address, port), _ANSWER_S))
        connection.settimeout(_ANSWER_S)
        if tls is not None:
            connection = stack.enter_context(tls.wrap_socket(connection, server_hostname=address))
        connection.sendall(_OPTIONS)
        return connection.recv(_HEADER)
