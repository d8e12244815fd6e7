"""Between a connection that wants to publish and what decides about it, whatever its protocol is."""

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from edge.protocols.rtmp import KEY_PARAMETERS, Event

MOST_COLLECTED: Final = 1 << 17


class LinkFigures(NamedTuple):
    """How the connection fares. Times in ms, None where the protocol cannot tell."""

    rtt_ms: float | None = None
    lost_packets: int = 0


class Target(NamedTuple):
    """What a publisher asked for. The key is a secret: it is never printed."""

    key: str
    params: Mapping[str, str]

    @property
    def keys(self) -> list[str]:
        """The key, and what may be it instead: encoders also send any name with `?key=KEY`."""
        return [self.key, *(self.params[name] for name in KEY_PARAMETERS if self.params.get(name))]

    def __repr__(self) -> str:
        return "Target(...)"


class Sink(Protocol):
    """Where an accepted publisher's events go."""

    queued_bytes: int

    def offer(self, event: Event, now_us: int) -> None:
        """Takes a media or metadata event; `now_us` is the wall clock at which it arrived."""

    def end(self, reason: str, *, clean: bool = False) -> None:
        """The publisher is gone. `clean`: the encoder said that it stops."""


class Publisher(Protocol):
    """A connection that wants to publish. After one answer, `close` may still come at any time."""

    kind: str  # "rtmp", "rtmps" or "whip"
    address: str
    encoder: str  # what it calls itself

    @property
    def closed(self) -> bool:
        """Whether it has gone."""

    @property
    def received_bytes(self) -> int:
        """Bytes that came from it."""

    def accept(self, sink: Sink) -> None:
        """It may publish: its events go to `sink` from now on."""

    def refuse(self, code: str, text: str) -> None:
        """It may not; the encoder shows the text where it can."""

    def close(self, code: str, text: str) -> None:
        """Ends it from this side."""

    def move(self, url: str, text: str) -> bool:
        """Asks it to connect again, to `url` ("" the same), and to publish here until it has.

        False when it has not said that it can.
        """

    def figures(self) -> LinkFigures:
        """As of now."""

    def hold(self) -> None:
        """What comes may lie there until `collect` or `read`, if the protocol has nothing to answer."""

    def collect(self) -> int:
        """Takes what came without looking at it, so that the other side goes on.

        Returns how many bytes lie there; from MOST_COLLECTED on, they have to be read.
        """

    def read(self) -> None:
        """Hands on what came while it is held."""

    def release(self) -> None:
        """What comes is taken at once again."""


class Gate(Protocol):
    """What decides about publishers and back-pressure."""

    def admit(self, publisher: Publisher, target: Target) -> None:
        """Answers with `accept` or `refuse`, at once or in a moment."""

    def is_full(self, sink: Sink | None) -> bool:
        """Whether no more bytes should be read now."""
