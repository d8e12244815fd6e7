"""`/thumb/...`: the pictures of live channels, read from the site's bucket when somebody asks.

    /thumb/CHANNEL.jpg, .webp            the newest picture, 640 pixels on its longer side
    /thumb/CHANNEL/SIZE.jpg, .webp       the same in a size of appliance.contracts.pictures
    /thumb/CHANNEL/storyboard.vtt        the course of the last minutes, as tiles of
    /thumb/CHANNEL/sheet-N.jpg

Equal requests wait for one reading. What was read is kept for a moment, all of it in a bound of bytes.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from appliance.contracts.directory import ChannelRecord
from appliance.contracts.errors import UnavailableError
from appliance.contracts.media import Broadcast
from appliance.contracts.pictures import PREVIEW_SIZES, StoredPicture
from appliance.contracts.subjects import preview_key, sheet_key, storyboard_key
from appliance.runtime.bus import Entry
from appliance.runtime.tasks import Tasks
from edge.origin.held import Deliver, HeldRequests, Release, Waiter
from edge.origin.metrics import Tally
from edge.origin.responses import CORS, FULL, Response, error
from edge.protocols.http.conditional import http_date, is_unchanged
from edge.protocols.http.headers import Headers
from edge.protocols.http.response import Field

_FRESH_S = 2.0
_WAIT_S = 5.0
_READING_AT_MOST = 64
_ENTRY_BYTES = 1024  # of an entry besides its body
_CACHE = "public, max-age=5"
_DEFAULT_SIZE = 640
_TYPES = {"jpg": "image/jpeg", "webp": "image/webp", "vtt": "text/vtt; charset=utf-8"}
_PREVIEW = re.compile(r"([^/.]+)(?:/([0-9]{1,5}))?\.(jpg|webp)\Z")
_STORYBOARD = re.compile(r"([^/.]+)/(?:storyboard\.(vtt)|sheet-([0-9]{1,6})\.(jpg))\Z")
_NOT_FOUND = error("thumb", 404, "There is nothing here.")
_UNKNOWN_CHANNEL = error("thumb", 404, "There is no such channel.")
_NOT_LIVE = error("thumb", 410, "This channel is not live now.")
_NO_PICTURE = error("thumb", 404, "There is no picture yet.")
_AWAY = error("thumb", 503, "Pictures cannot be read at the moment.")


class Shelf(Protocol):
    """The part of a bucket that reading pictures needs."""

    async def get(self, key: str) -> Entry | None:
        """The value of a key. UnavailableError."""


class Channels(Protocol):
    """The part of the catalogue that pictures need."""

    def live(self, channel: str) -> Broadcast | None:
        """The channel's broadcast that is not over."""

    def channel(self, name: str) -> ChannelRecord | None:
        """A channel of the directory."""


class Caller(Waiter, Protocol):
    """The connection a request came on."""

    def has_room(self) -> bool:
        """Whether one more request may be held."""

    def hold(self, release: Release, until: float) -> None:
        """Parks the request."""


class _Asked(NamedTuple):
    channel: str
    form: str
    size: int = 0
    sheet: int = -1

    def key(self, broadcast_id: str) -> str:
        if self.size:
            return preview_key(broadcast_id, self.size, self.form)
        return storyboard_key(broadcast_id) if self.sheet < 0 else sheet_key(broadcast_id, self.sheet)


def _read_path(rest: str) -> _Asked | None:
    found = _PREVIEW.match(rest)
    if found is not None:
        size = int(found[2] or _DEFAULT_SIZE)
        return _Asked(found[1], found[3], size) if size in PREVIEW_SIZES else None
    found = _STORYBOARD.match(rest)
    if found is None:
        return None
    return _Asked(found[1], found[2] or found[4], sheet=int(found[3] or -1))


class _Kept:
    """What a key holds, as answers. `at` is when it was read."""

    __slots__ = ("_etag", "_modified_s", "_unchanged", "_whole", "at", "size")

    def __init__(self, at: float, form: str, picture: StoredPicture | None) -> None:
        self.at = at
        self.size = _ENTRY_BYTES
        self._etag, self._modified_s = "", 0
        self._whole = self._unchanged = _NO_PICTURE
        if picture is not None:
            self.size += len(picture.data)
            self._etag = f'"{hashlib.blake2b(picture.data, digest_size=12).hexdigest()}"'
            self._modified_s = picture.at_ms // 1000
            fields: tuple[Field, ...] = (
                ("Cache-Control", _CACHE),
                ("ETag", self._etag),
                ("Last-Modified", http_date(self._modified_s)),
                *CORS,
            )
            described = (("Content-Type", _TYPES[form]), ("X-Content-Type-Options", "nosniff"), *fields)
            self._whole = Response("thumb", 200, described, (picture.data,))
            self._unchanged = Response("thumb", 304, fields)

    def answer(self, if_none_match: str, if_modified_since: str) -> Response:
        """To a request with these conditions."""
        if self._etag and is_unchanged(self._etag, self._modified_s, if_none_match, if_modified_since):
            return self._unchanged
        return self._whole


class Thumbs:
    """Used in the loop. `clock` is monotonic seconds; `most_bytes` bounds what is kept."""

    def __init__(
        self,
        *,
        channels: Channels,
        shelf: Shelf,
        tally: Tally,
        deliver: Deliver,
        clock: Callable[[], float],
        most_bytes: int,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._channels = channels
        self._shelf = shelf
        self._tally = tally
        self._deliver = deliver
        self._clock = clock
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._reading: dict[str, HeldRequests[tuple[str, str]]] = {}
        self._tasks = Tasks(on_failure)

    @property
    def held_bytes(self) -> int:
        """Bytes of what is kept."""
        return self._bytes

    def serve(
        self, caller: Caller, headers: Headers, rest: str, refusal: Callable[[str], Response | None]
    ) -> Response | None:
        """The answer for what follows `/thumb/` in the path, or None when the request is held.

        `refusal` says of a channel why this caller may not see it.
        """
        asked = _read_path(rest)
        if asked is None:
            return _NOT_FOUND
        record = self._channels.live(asked.channel)
        if record is None:
            return _NOT_LIVE if self._channels.channel(asked.channel) is not None else _UNKNOWN_CHANNEL
        refused = refusal(asked.channel)
        if refused is not None:
            return refused
        key = asked.key(record.broadcast_id)
        conditions = headers.get("if-none-match"), headers.get("if-modified-since")
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept.at < _FRESH_S:
            self._kept.move_to_end(key)
            return kept.answer(*conditions)
        return self._hold(caller, key, asked.form, conditions)

    def _hold(self, caller: Caller, key: str, form: str, conditions: tuple[str, str]) -> Response | None:
        if not caller.has_room() or (key not in self._reading and len(self._reading) >= _READING_AT_MOST):
            self._tally.event("pictures_busy")
            return FULL
        held = self._reading.get(key)
        if held is None:
            held = self._reading[key] = HeldRequests()
            self._tasks.start(self._read(key, form), f"picture-{key}")
        caller.hold(held.add(conditions, caller), self._clock() + _WAIT_S)
        return None

    async def _read(self, key: str, form: str) -> None:
        kept: _Kept | None = None
        try:
            kept = _Kept(self._clock(), form, await self._picture(key))
            self._keep(key, kept)
        except UnavailableError:
            self._tally.event("pictures_away")
        finally:
            for conditions, waiters in self._reading.pop(key).take(lambda _: True):
                self._deliver(waiters, _AWAY if kept is None else kept.answer(*conditions))

    async def _picture(self, key: str) -> StoredPicture | None:
        entry = await self._shelf.get(key)
        if entry is None:
            return None
        try:
            return msgspec.msgpack.decode(entry.value, type=StoredPicture)
        except msgspec.MsgspecError:
            self._tally.event("bad_record")
            return None

    def _keep(self, key: str, kept: _Kept) -> None:
        old = self._kept.pop(key, None)
        self._bytes += kept.size - (old.size if old is not None else 0)
        self._kept[key] = kept
        while self._bytes > self._most_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.size

    async def close(self) -> None:
        """Ends the readings; whoever waits is answered."""
        await self._tasks.close()
