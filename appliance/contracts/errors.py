"""One tree of errors. Each carries a stable `code` that logs, metrics, problem documents and frames share."""


class NearcastError(Exception):
    """Something expected went wrong. `code` is stable and public, `detail` is one plain sentence."""

    code = "internal"
    status = 500

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.retry_after_s = retry_after_s
        if code is not None:
            self.code = code


class BadInputError(NearcastError):
    """The caller sent something that can never be accepted as it is (HTTP 400)."""

    code = "bad_input"
    status = 400


class UnauthenticatedError(NearcastError):
    """No credential, or one that is unknown or expired (HTTP 401)."""

    code = "unauthenticated"
    status = 401


class ForbiddenError(NearcastError):
    """The credential is good but does not allow this (HTTP 403)."""

    code = "forbidden"
    status = 403


class NotFoundError(NearcastError):
    """What was asked for never existed (HTTP 404)."""

    code = "not_found"
    status = 404


class ConflictError(NearcastError):
    """The state of the thing does not allow this, or its name is taken (HTTP 409)."""

    code = "conflict"
    status = 409


class GoneError(NearcastError):
    """What was asked for existed and is over (HTTP 410)."""

    code = "gone"
    status = 410


class RateLimitedError(NearcastError):
    """Too much, too fast; `retry_after_s` says when to come back (HTTP 429)."""

    code = "rate_limited"
    status = 429


class UnavailableError(NearcastError):
    """A part we need is away for now; trying again later is right (HTTP 503)."""

    code = "unavailable"
    status = 503


class LeaseLostError(NearcastError):
    """Another holder owns the lease: whatever this one does from now on must not be written."""

    code = "lease_lost"
    status = 409


class WrongSequenceError(NearcastError):
    """A fenced append met a log that has moved on: somebody else wrote (JetStream 10071)."""

    code = "wrong_sequence"
    status = 409


class ConfigError(NearcastError):
    """The settings cannot be used; `detail` names the key and what was expected."""

    code = "config"
    status = 500
