"""Why a playlist, or a request for one, cannot be understood."""

from appliance.contracts.errors import BadInputError


class PlaylistError(BadInputError):
    """Text that is not the playlist it should be."""

    code = "playlist"


class DirectiveError(BadInputError):
    """Delivery directives that contradict section 6.2.5 (HTTP 400)."""

    code = "delivery_directive"
