"""A report of a player, as it is sent to POST /beacon."""

import bisect
from typing import Annotated, Literal

import msgspec

from appliance.contracts.directory import CHANNEL_NAME
from appliance.contracts.errors import BadInputError
from appliance.contracts.quality import HEIGHTS, PLAYERS

_DAY_MS = 86_400_000
Number = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
State = Literal["starting", "playing", "paused", "stalled", "audio", "ended"]
_FETCHING = frozenset({"starting", "playing", "stalled", "audio"})


class PlayerError(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong in a player."""

    kind: Literal["network", "media", "unsupported", "stood_still"]
    detail: Annotated[str, msgspec.Meta(max_length=100)] = ""


class Beacon(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and times are of the `interval_ms` since the report before, `startup_ms` of the session's start.

    Times in milliseconds, `bitrate` in bit/s, `height` in lines. `seq` counts the session's reports.
    """

    v: Literal[1]
    session: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{22}\Z")]
    stream_id: Annotated[str, msgspec.Meta(max_length=64)]
    channel: Annotated[str, msgspec.Meta(max_length=30)]
    player: Annotated[str, msgspec.Meta(max_length=60)]
    seq: Number
    state: State
    interval_ms: Number
    startup_ms: Number | None = None
    stalls: Number = 0
    stall_ms: Number = 0
    latency_ms: Number | None = None
    bitrate: Number | None = None
    height: Number | None = None
    switches: Number = 0
    dropped_frames: Number = 0
    errors: Annotated[list[PlayerError], msgspec.Meta(max_length=20)] = []
    leaving: bool = False

    @property
    def kind(self) -> str:
        """The player without its version, one of PLAYERS."""
        name = self.player.split(" ", 1)[0]
        return name if name in PLAYERS else "other"

    @property
    def fetches(self) -> bool:
        """Whether it asks for playlists now."""
        return self.state in _FETCHING and self.kind != "whep"

    @property
    def lines(self) -> int:
        """The picture's height as one of HEIGHTS, the nearest; 0 when there is none."""
        if not self.height or self.state == "audio":
            return 0
        at = bisect.bisect(HEIGHTS, self.height)
        return min(HEIGHTS[max(0, at - 1) : at + 1], key=lambda one: abs(one - (self.height or 0)))

    @property
    def stalled_ms(self) -> int:
        """How long it stood still, at most the interval: a clock may have jumped."""
        return min(self.stall_ms, self.span_ms)

    @property
    def span_ms(self) -> int:
        """The interval, at most a day."""
        return min(self.interval_ms, _DAY_MS)

    @property
    def played_ms(self) -> int:
        """How much of the interval was played, as far as the state at its end tells."""
        return self.span_ms - self.stalled_ms if self.state in ("playing", "stalled", "audio") else 0


_decoder = msgspec.json.Decoder(Beacon)


def read_beacon(body: bytes) -> Beacon:
    """A report. BadInputError (code beacon) when it is none."""
    try:
        beacon = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadInputError(str(error), code="beacon") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError("the body is not JSON", code="beacon") from error
    if CHANNEL_NAME.match(beacon.channel) is None:
        raise BadInputError("the channel is none", code="beacon")
    return beacon
