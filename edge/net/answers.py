"""HTTP answers of the WHIP and WHEP resources."""

import dataclasses
import email.utils
import math

import msgspec

from appliance.contracts.errors import NearcastError
from edge.protocols.http.response import Field, field_block, status_line

SDP_TYPE = "application/sdp"
FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"
METHODS = "POST, PATCH, DELETE, OPTIONS"
_COMMON: tuple[Field, ...] = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Location, Link, ETag, Accept-Patch, Retry-After"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One answer, ready but for the connection's fields."""

    status: int
    kind: str = ""
    body: bytes = b""
    fields: tuple[Field, ...] = ()

    def encode(self, *, keep: bool) -> bytes:
        """The bytes to send; `keep`: the connection goes on."""
        fields = [("Date", email.utils.formatdate(usegmt=True)), *_COMMON, *self.fields]
        fields.append(("Connection", "keep-alive" if keep else "close"))
        if self.kind:
            fields.append(("Content-Type", self.kind))
        length = None if self.status == 204 else len(self.body)
        return status_line(self.status) + field_block(fields, length) + self.body


class ResourceError(NearcastError):
    """A request that cannot be served; `status` and `fields` are the answer's."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        fields: tuple[Field, ...] = (),
        *,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail, code=code, retry_after_s=retry_after_s)
        self.status = status
        self.fields = fields


def problem(error: NearcastError) -> Answer:
    """A problem document (RFC 9457) with the error's stable code."""
    body = {
        "type": "about:blank",
        "title": str(error.code).replace("_", " "),
        "status": error.status,
        "detail": error.detail,
        "code": str(error.code),
    }
    fields = error.fields if isinstance(error, ResourceError) else ()
    if error.retry_after_s is not None:
        fields += (("Retry-After", str(max(1, math.ceil(error.retry_after_s)))),)
    return Answer(error.status, "application/problem+json", msgspec.json.encode(body), fields)
