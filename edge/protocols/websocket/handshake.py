"""The opening handshake (RFC 6455, 4.2)."""

import base64
import binascii
import hashlib
from typing import NamedTuple

from appliance.contracts.errors import BadInputError
from edge.protocols.http.request import RequestHead
from edge.protocols.http.response import Field
from edge.protocols.websocket.deflate import Deflate, negotiate

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_VERSION = "13"
_KEY_BYTES = 16
_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


class HandshakeError(BadInputError):
    """A request that cannot become a WebSocket. `status` and `fields` are the answer's."""

    code = "websocket_handshake"

    def __init__(self, status: int, detail: str, fields: tuple[Field, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.fields = fields


def wants_websocket(request: RequestHead) -> bool:
    """Whether the client asks to upgrade to WebSocket; `accept` says whether it asks correctly."""
    offered = request.headers.get("upgrade")
    return request.headers.upgrade and (offered == "websocket" or "websocket" in _tokens(offered))


class Agreement(NamedTuple):
    """What was agreed about compression, and the fields of the answer that say what was agreed.

    It holds for all requests in the same words, whatever their key.
    """

    deflate: Deflate | None
    fields: bytes

    def answer(self, key: str) -> bytes:
        """The whole 101 answer to a Sec-WebSocket-Key. HandshakeError (400) when it is none."""
        return b"%bSec-WebSocket-Accept: %b\r\n%b\r\n" % (_SWITCHING, _answer_to(key), self.fields)


def agree(request: RequestHead, protocols: tuple[str, ...] = ()) -> Agreement:
    """Judges an opening handshake but for its key (RFC 6455, 4.2.2). Permessage-deflate is taken when it is
    offered, and of the client's subprotocols the first that is in `protocols`.

    Raises HandshakeError: 405 not GET, 400 malformed, 426 not an upgrade or another version.
    """
    if request.method != "GET":
        raise HandshakeError(405, "a WebSocket is opened with GET", (("Allow", "GET"),))
    if not wants_websocket(request):
        raise HandshakeError(426, "this is a WebSocket", (("Upgrade", "websocket"), ("Connection", "Upgrade")))
    if request.minor != 1:
        raise HandshakeError(400, "a WebSocket needs HTTP/1.1")
    if request.headers.get("sec-websocket-version") != _VERSION:
        raise HandshakeError(426, "only version 13 is spoken", (("Sec-WebSocket-Version", _VERSION),))
    if request.headers.body_length or request.headers.chunked:
        raise HandshakeError(400, "an opening handshake has no body")
    deflate = negotiate(request.headers.get("sec-websocket-extensions"))
    extensions = b"" if deflate is None else b"Sec-WebSocket-Extensions: %b\r\n" % deflate.answer.encode()
    spoken = _chosen(request.headers.get("sec-websocket-protocol"), protocols)
    return Agreement(deflate, extensions + spoken)


class Accepted(NamedTuple):
    """The whole 101 answer, and what was agreed about compression."""

    answer: bytes
    deflate: Deflate | None


def accept(request: RequestHead, protocols: tuple[str, ...] = ()) -> Accepted:
    """Answers an opening handshake; see `agree`. HandshakeError."""
    agreement = agree(request, protocols)
    return Accepted(agreement.answer(request.headers.get("sec-websocket-key")), agreement.deflate)


def _chosen(offered: str, protocols: tuple[str, ...]) -> bytes:
    if not offered:
        return b""
    found = next((one for one in offered.replace(" ", "").split(",") if one in protocols), None)
    return b"" if found is None else b"Sec-WebSocket-Protocol: %b\r\n" % found.encode()


def _answer_to(key: str) -> bytes:
    try:
        decoded = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != _KEY_BYTES:
        raise HandshakeError(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    digest = hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()
    return base64.b64encode(digest)


def _tokens(value: str) -> set[str]:
    return {token.strip().lower() for token in value.split(",")}
