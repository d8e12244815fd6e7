"""Bodies of the markers' API."""

import msgspec


class NewMarker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /streams/{stream_id}/markers."""

    text: str


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """A marker that was set. `at_ms` is on the clock of the playlists, Unix milliseconds."""

    marker_id: str
    at_ms: int
    text: str
