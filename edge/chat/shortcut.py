"""What subscribing comes to, for the next client that asks in the same words.

When a process comes back, or a broadcast that everybody waits for begins, thousands come within a second. They
differ in the key of their opening handshake only.
"""

from typing import NamedTuple

from edge.chat.positions import Mark
from edge.chat.routes import Route
from edge.protocols.http.request import HeadMemo
from edge.protocols.websocket.handshake import Agreement


class Shortcut(NamedTuple):
    """A request that may be taken, without a token, for the room that `route` leads to at the time."""

    agreement: Agreement
    route: Route
    since: Mark | None


def known(memo: HeadMemo, head: bytes) -> tuple[Shortcut, str] | None:
    """The shortcut of a whole request, nothing more, whose words came before, and the key of its handshake."""
    found = memo.opening(head)
    if found is None:
        return None
    request, key = found
    shortcut = request.note.value
    return (shortcut, key) if isinstance(shortcut, Shortcut) else None
