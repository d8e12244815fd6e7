"""A message or an action that is sent again with its nonce is the one that was there: no I/O.

The random part of a message's id is made of its author, room, nonce and text, and so is that of the event of a
command or of another moderator's action; so whoever reads the log knows a second try by the id of the first, and no
gateway needs to be told of nonces. The same nonce with another text is another message or action: clients may count
from 1 again.
"""

import hashlib
from collections import OrderedDict

from appliance.contracts.ids import unix_ms, uuid7

WINDOW_MS = 600_000
_MOST = 100_000  # ids remembered: ten minutes of 166 messages a second; with more it is less time
_PERSON = b"nearcast-nonce-1"
_FIRST_FIELD = b'{"message_id":"'  # how the encoder begins every message
_TIME = 14  # characters of an id that are its time
_ID_END = len(_FIRST_FIELD) + 36


def digest_of(*parts: str) -> bytes:
    """What the random part of an id is made of: 10 bytes."""
    digest = hashlib.blake2b(digest_size=10, person=_PERSON)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()


def numbered(now_ms: int, user_id: str, room_id: str, nonce: str, text: str) -> str:
    """The id of a message made now; all but its time is the same whenever it is tried."""
    return uuid7(now_ms, digest_of(user_id, room_id, nonce, text))


def derived(first_id: str, purpose: str) -> str:
    """The id of something that comes of the message or event `first_id`, tried as often as that is."""
    return uuid7(unix_ms(first_id), digest_of(purpose, id_tail(first_id)))


def at_time_of(other_id: str, message_id: str) -> str:
    """`message_id` as it was when `other_id` was made."""
    return other_id[:_TIME] + id_tail(message_id)


def id_in(data: bytes) -> str:
    """The id of a message as JSON, as our encoder writes it; empty when it is written otherwise."""
    if not data.startswith(_FIRST_FIELD) or data[_ID_END : _ID_END + 1] != b'"':
        return ""
    return data[len(_FIRST_FIELD) : _ID_END].decode("ascii", "replace")


def id_tail(message_id: str) -> str:
    """Everything of an id but its time."""
    return message_id[_TIME:]


class Nonces:
    """The ids of the newest messages and events of all rooms, in the order of the log. The oldest leave first."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ids)

    def known(self, message_id: str) -> str:
        """The id of the first try of the same message or event that the log has; empty when there is none."""
        found = self._ids.get(id_tail(message_id), "")
        if not found or found == message_id:
            return found
        try:
            return found if abs(unix_ms(message_id) - unix_ms(found)) < WINDOW_MS else ""
        except ValueError:  # some other form of id: equal ends mean nothing
            return ""

    def is_first(self, message_id: str) -> bool:
        """Whether the log has no other try of it before this one."""
        return self.known(message_id) in ("", message_id)

    def heard(self, message_id: str) -> bool:
        """Takes the id of the next message of the log; False when it is a second try of one before it."""
        if self.known(message_id):
            return False
        self._ids[id_tail(message_id)] = message_id
        if len(self._ids) > _MOST:
            self._ids.popitem(last=False)
        return True
