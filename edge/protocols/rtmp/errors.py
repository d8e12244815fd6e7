"""What reading chunks raises. Not compiled: a class of an interpreted one keeps its own `code` in Python only."""

from appliance.contracts.errors import BadInputError


class ChunkError(BadInputError):
    """The framing is lost or a limit exceeded: the connection cannot go on."""

    code = "chunk"
