"""What reading a tag raises. Not compiled: a class of an interpreted one keeps its own `code` in Python only."""

from appliance.contracts.errors import BadInputError


class FlvError(BadInputError):
    """A tag body too short for its header."""

    code = "flv"
