"""Why a request cannot be served as it was sent."""

from appliance.contracts.errors import BadInputError


class HttpError(BadInputError):
    """A request that breaks the protocol or a limit. `status` is the answer; the connection ends after it."""

    code = "http"

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class OtherVersionError(HttpError):
    """The client speaks HTTP/2 from its first byte on (RFC 9113, 3.3)."""

    def __init__(self) -> None:
        super().__init__(505, "HTTP/2")


class RangeNotSatisfiableError(BadInputError):
    """No byte of the asked range exists (RFC 9110, 15.5.17)."""

    code = "range_not_satisfiable"
    status = 416
