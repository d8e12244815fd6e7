"""Why nothing can be watched."""

from appliance.contracts.errors import BadInputError, UnavailableError


class NotReachableError(UnavailableError):
    """The presentation cannot be had, so that there is nothing to judge."""

    code = "not_reachable"


class HttpFailure(UnavailableError):  # noqa: N818 - it is what happened to one request, not to the watch
    """A request without an answer that can be used; becomes the `error` of its exchange."""

    code = "http_failure"


class UnusableUrlError(BadInputError):
    """The URL is not one of http or https."""

    code = "url"
