"""Refusals as problem documents (RFC 9457) with a stable `code`."""

import math
from http import HTTPStatus

import msgspec

from appliance.contracts.errors import NearcastError

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of every refusal. `instance` carries the request's id, which the log has as well."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""
    instance: str = ""


def problem(status: int, code: str, detail: str, request_id: str) -> Problem:
    """A problem document of this status."""
    return Problem(
        type=f"urn:nearcast:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        instance=f"urn:uuid:{request_id}",
    )


def problem_of(error: NearcastError, request_id: str) -> Problem:
    """The document of one of our errors. Of a status 500 nothing is told."""
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return unexpected(request_id)
    return problem(error.status, str(error.code), error.detail, request_id)


def unexpected(request_id: str) -> Problem:
    """The document of an error nobody foresaw."""
    return problem(500, "internal", "something went wrong here; the log has this request's id", request_id)


def headers_of(error: NearcastError) -> dict[str, str]:
    """Headers that belong to a refusal: Retry-After in whole seconds, the challenge of a 401."""
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="nearcast"'
    return headers
