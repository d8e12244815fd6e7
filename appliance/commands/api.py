"""Calls to the coordinator's API from the command line, as the operator of this machine."""

import contextlib
import http
import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from appliance.contracts.errors import NearcastError, UnavailableError

OPERATOR_TOKEN = "keys/operator.token"  # noqa: S105 - the name of the file, not what is in it
_TIMEOUT_S = 10.0
_KNOWN_S, _KNOWN_STEP_S = 3.0, 0.02


def call(data: Path, base: str, method: str, path: str, body: Any = None, *, once: str = "") -> Any:
    """The decoded answer. NearcastError with the API's own words when it refuses.

    `once`: an idempotency key; the same call with the same key has one effect and one answer.
    """
    token = _operator_token(data)
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_TIMEOUT_S)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if once:
        headers["Idempotency-Key"] = once
    try:
        connection.request(method, parts.path + path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
    except OSError as error:
        raise UnavailableError(f"the coordinator does not answer: {error}") from error
    finally:
        connection.close()
    answer = json.loads(content) if content else {}
    if response.status >= 400:
        raise NearcastError(answer.get("detail") or answer.get("title") or "refused", code=answer.get("code"))
    return answer


def wait_for_channel(web: str, name: str) -> bool:
    """Waits until the edge at `web` has heard of a channel, for a few seconds; whether it has."""
    parts = urlsplit(web)
    until = time.monotonic() + _KNOWN_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_KNOWN_S)
            with contextlib.closing(connection):
                connection.request("GET", f"/live/{name}/status.json")
                if connection.getresponse().status == http.HTTPStatus.OK:
                    return True
        time.sleep(_KNOWN_STEP_S)
    return False


def _operator_token(data: Path) -> str:
    try:
        return (data / OPERATOR_TOKEN).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UnavailableError(f"no operator token in {data}: has this node been started?") from error
