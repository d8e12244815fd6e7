"""Grants: what lets a viewer watch a channel that is not for everybody, checked by an edge without asking anybody.

A grant is 73 bytes of `Grant` and an Ed25519 signature over them, together in base64url, which fits a path
segment. The coordinator signs grants; an edge renews them with a key of its site until `until_ms`, so that
viewers go on while the WAN is cut. A renewed grant keeps `issued_ms` and `root`: whatever revokes the grant that
the coordinator signed revokes it as well.
"""

import base64
import binascii
import struct
import uuid

import msgspec

from appliance.contracts.errors import BadInputError

VERSION = 1
LIFE_S = 600  # of a grant that asks for nothing else
LEAST_LIFE_S, MOST_LIFE_S = 60, 12 * 3600
UNTIL_S = 12 * 3600  # how long an edge may renew what the coordinator has granted
LATE_S = 900  # an expired grant may be renewed for so long
SKEW_MS = 30_000  # clocks may differ by this
SIGNATURE = 64
_FORM = struct.Struct("!B8s8s16s16sQQQ")
_MOST_MS = 1 << 48
TEXT = -(-(_FORM.size + SIGNATURE) * 4 // 3)  # characters of a grant


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Times in Unix milliseconds. Key ids are 16 hex digits, the others UUIDs."""

    key_id: str  # who signed
    root: str  # the coordinator's key that signed first
    channel_id: str
    user_id: str
    issued_ms: int  # when the coordinator looked whether the user is entitled
    expires_ms: int
    until_ms: int  # it is not renewed beyond this

    def payload(self) -> bytes:
        """The bytes that are signed. ValueError when an id is none."""
        return _FORM.pack(
            VERSION,
            bytes.fromhex(self.key_id),
            bytes.fromhex(self.root),
            uuid.UUID(self.channel_id).bytes,
            uuid.UUID(self.user_id).bytes,
            self.issued_ms,
            self.expires_ms,
            self.until_ms,
        )


def write_grant(grant: Grant, signature: bytes) -> str:
    """A grant as it travels. `signature` is over `grant.payload()`."""
    return base64.urlsafe_b64encode(grant.payload() + signature).decode().rstrip("=")


def read_grant(text: str) -> tuple[Grant, bytes, bytes]:
    """The grant, the bytes that were signed and their signature, unchecked. BadInputError (code grant)."""
    if len(text) != TEXT:
        raise BadInputError("not a grant", code="grant")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInputError("not a grant", code="grant") from error
    payload, signature = data[: _FORM.size], data[_FORM.size :]
    version, key, root, channel, user, issued, expires, until = _FORM.unpack(payload)
    if version != VERSION or max(issued, expires, until) > _MOST_MS or write_base64(data) != text:
        raise BadInputError("not a grant", code="grant")
    grant = Grant(
        key_id=key.hex(),
        root=root.hex(),
        channel_id=str(uuid.UUID(bytes=channel)),
        user_id=str(uuid.UUID(bytes=user)),
        issued_ms=issued,
        expires_ms=expires,
        until_ms=until,
    )
    return grant, payload, signature


def write_base64(data: bytes) -> str:
    """base64url without padding; of several texts that decode to the same bytes this is the one that counts."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class GrantKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key by which the coordinator signs grants, at `grantkey.<key_id>` of the directory."""

    key_id: str
    public: str  # 32 bytes as hex
    revoked: bool = False


class RevocationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Grants of a user that were issued until `until_ms` are void, at `revoked.<id>` of the directory."""

    user_id: str
    until_ms: int
    channel_id: str = ""  # empty: of every channel


class GrantRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An edge asks the centre on behalf of a user; `token` is the hash of their API token."""

    token: str
    channel: str
    life_s: int = LIFE_S


class GrantAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A grant, or a refusal with its HTTP status. A channel that is for everybody has neither."""

    grant: str = ""
    expires_ms: int = 0
    until_ms: int = 0
    code: str = ""
    detail: str = ""
    status: int = 200
