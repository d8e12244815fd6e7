"""What viewers got: told by their players, added up by an edge, stored by the centre.

A `QualityBatch` is an event of the outbox, subject fed.<edge>.ev.quality, about every ten seconds. It carries
sums of one process since its batch before, so that the centre adds batches up; each is applied once.
"""

from typing import Annotated

import msgspec

from appliance.contracts.sketch import Count, Sketch

QUALITY = "quality"  # kind of event: the last token of its subject
HEIGHTS = (144, 160, 240, 360, 480, 540, 576, 720, 900, 1080, 1440, 2160, 4320)
PLAYERS = ("hls.js", "native", "whep", "other")
ERRORS = ("network", "media", "unsupported", "stood_still")

Text = Annotated[str, msgspec.Meta(max_length=64)]
Height = Annotated[int, msgspec.Meta(ge=0, le=4320)]


class QualityCell(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Sums over the players of one broadcast that showed one picture height in one minute.

    Times in milliseconds, `bitrate` in bit/s. `height` is one of HEIGHTS, 0 unknown or sound alone. `sessions`
    are counted in the cell of their first report in the minute. `beacons` are the reports that the sums are made
    of, `shed` those that were left out under overload.
    """

    broadcast_id: Text
    minute_ms: Count  # Unix time at which the minute began
    height: Height
    player: Text
    beacons: Count = 0
    shed: Count = 0
    sessions: Count = 0
    played_ms: Count = 0
    stalls: Count = 0
    stall_ms: Count = 0
    switches: Count = 0
    dropped_frames: Count = 0
    startup_ms: Sketch = msgspec.field(default_factory=Sketch)
    latency_ms: Sketch = msgspec.field(default_factory=Sketch)
    bitrate: Sketch = msgspec.field(default_factory=Sketch)
    errors: dict[Text, Count] = {}  # by kind

    def merge(self, other: "QualityCell") -> None:
        """Adds the sums of `other`."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.startup_ms.merge(other.startup_ms)
        self.latency_ms.merge(other.latency_ms)
        self.bitrate.merge(other.bitrate)
        for kind, count in other.errors.items():
            self.errors[kind] = self.errors.get(kind, 0) + count


_SUMS = (
    "beacons", "shed", "sessions", "played_ms", "stalls", "stall_ms", "switches", "dropped_frames",
)  # fmt: skip


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A viewer's session as one process saw it, told once, when it is over. Times in milliseconds.

    `session` is a hash under a key that only the site has: it joins the pieces of a session and nothing else.
    """

    session: Text
    broadcast_id: Text
    player: Text
    began_ms: Count  # Unix time
    ended_ms: Count
    played_ms: Count = 0
    startup_ms: Count | None = None
    stalls: Count = 0
    stall_ms: Count = 0
    switches: Count = 0
    dropped_frames: Count = 0
    errors: Count = 0


class ViewersSample(msgspec.Struct, frozen=True, array_like=True):
    """How many watched a broadcast at the whole site at the moment of the batch."""

    broadcast_id: Text
    viewers: Count


class QualityBatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """See the module's docstring. `viewers` come from one process of the site at a time."""

    event_id: str
    edge_id: str
    at_ms: Count
    cells: list[QualityCell] = []
    sessions: list[SessionSummary] = []
    viewers: list[ViewersSample] = []
