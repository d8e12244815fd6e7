"""What stands between a WHIP session and the broadcasts: who may publish, and where events go."""

from typing import Protocol

from edge.ingest.keys import Refusal
from edge.ingest.listener import Sink


class Publisher(Protocol):
    """A connection that wants to publish."""

    address: str

    def accept(self) -> None:
        """The gate lets it in."""

    def refuse(self, code: str, text: str) -> None:
        """The gate does not."""

    def close(self, code: str, text: str) -> None:
        """The gate ends it."""


class Gate(Protocol):
    """What decides about publishers and back-pressure."""

    def check(self, key: str, address: str) -> Refusal | None:
        """Why this key may not publish now, None when it may. Nothing is taken over yet."""

    def admit(self, publisher: Publisher, key: str, encoder: str) -> Sink | None:
        """The sink of a publisher whose media can flow; None after calling `publisher.refuse`."""

    def is_full(self, sink: Sink | None) -> bool:
        """Whether nothing more should be offered now."""

    def warn(self, key: str, code: str, text: str) -> None:
        """Tells the owner of a key what is wrong, in words."""
