"""Who watches at one origin process, told to the others of the site so that together they count exactly.

`AudienceRecord` lies in the lease bucket at `viewers.<origin>` as MessagePack and is forgotten with its process.
No id and no address is in it, only their hashes under a key of the site.
"""

import struct
from collections.abc import Iterable, Iterator

import msgspec

_ENTRY = struct.Struct("!QIB")  # session hash, place hash, marks


# Marks of a session, put together by `|`: plain numbers, since tens of thousands are looked at every second.
TELLS = 1  # its player reported lately
ASKS = 2  # requests with its id came lately
LEFT = 4  # its player said good-bye
ANONYMOUS = 8  # it fetches playlists, and whether by requests without an id is seen only in `ASKS`


class BroadcastAudience(msgspec.Struct, frozen=True, array_like=True):
    """Of one broadcast. `sessions` is packed; `anonymous` are viewers without an id, by the hash of their place."""

    sessions: bytes = b""
    anonymous: dict[int, int] = {}


class AudienceRecord(msgspec.Struct, frozen=True, array_like=True):
    """By broadcast id."""

    origin: str
    broadcasts: dict[str, BroadcastAudience] = {}


def pack_sessions(sessions: Iterable[tuple[int, int, int]]) -> bytes:
    """Hash of the session (64 bits), hash of its place (32 bits), marks."""
    return b"".join([_ENTRY.pack(*session) for session in sessions])


def unpack_sessions(data: bytes) -> Iterator[tuple[int, int, int]]:
    """What was packed; what is left of a cut record is ignored."""
    return _ENTRY.iter_unpack(data[: len(data) - len(data) % _ENTRY.size])
