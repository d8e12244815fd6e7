"""Plain HTTP answers of the chat: JSON, problems, preflights. The connection ends after each."""

import email.utils
import math

import msgspec

from appliance.contracts.errors import NearcastError
from edge.protocols.http.response import Field, field_block, status_line

_CORS: tuple[Field, ...] = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Retry-After"),
)
_PREFLIGHT: tuple[Field, ...] = (
    ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type"),
    ("Access-Control-Max-Age", "7200"),
)


def answer(status: int, kind: str, body: bytes, fields: tuple[Field, ...] = ()) -> bytes:
    """A whole answer."""
    common: tuple[Field, ...] = (
        ("Date", email.utils.formatdate(usegmt=True)),
        ("Connection", "close"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    )
    if kind:
        common += (("Content-Type", kind),)
    block = field_block((*common, *_CORS, *fields), None if status == 204 else len(body))
    return status_line(status) + block + body


def document(status: int, value: object) -> bytes:
    """A JSON answer."""
    return answer(status, "application/json", msgspec.json.encode(value))


def raw_document(body: bytes) -> bytes:
    """A 200 with JSON that is encoded already."""
    return answer(200, "application/json", body)


def preflight() -> bytes:
    """The answer to OPTIONS: any origin may ask (tokens travel in a header, never in a cookie)."""
    return answer(204, "", b"", _PREFLIGHT)


def problem(error: NearcastError, fields: tuple[Field, ...] = ()) -> bytes:
    """A problem document (RFC 9457) with the error's stable code."""
    body = {
        "type": "about:blank",
        "title": str(error.code).replace("_", " "),
        "status": error.status,
        "detail": error.detail,
        "code": str(error.code),
    }
    if error.retry_after_s is not None:
        fields += (("Retry-After", str(max(1, math.ceil(error.retry_after_s)))),)
    return answer(error.status, "application/problem+json", msgspec.json.encode(body), fields)
