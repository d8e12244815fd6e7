"""The answers of one rendition: playlists once per (update, kind of question), parts, segments, inits."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from appliance.contracts.media import Broadcast
from appliance.contracts.moments import Moment
from edge.origin.held import Group, HeldRequests, Release, Waiter
from edge.origin.part_store import RenditionStore
from edge.origin.playlist_answers import LONG_S, Kind, PlaylistAnswers
from edge.origin.playlists import Face
from edge.origin.responses import Response, error, media
from edge.origin.shortcuts import Shortcuts
from edge.origin.stored import Kept, StoredSegment
from edge.origin.window import RenditionWindow
from edge.protocols.fmp4 import key_fragment
from edge.protocols.hls.reload import Directives, Position, Refuse, Wait, decide

UNKNOWN_MEDIA = error("media", 404, "There is no such part or segment.")
GAPS_FOR_NOW = error("playlist", 400, "There will be no such part: this rendition has no pictures for now.")
UNKNOWN_RENDITION = error("playlist", 404, "There is no such rendition.")

_NOTHING_ASKED = Directives()

PlaylistKey = tuple[Face, Directives, bool]


class Presentation(Protocol):
    """What a rendition has to know of all of them together."""

    record: Broadcast
    moments: list[Moment]
    caught_up: bool
    ended: bool

    def windows_except(self, name: str) -> Mapping[str, RenditionWindow]:
        """The windows of the other renditions that viewers may be offered, for reports."""

    def is_without_pictures(self, name: str, window: RenditionWindow) -> bool:
        """Of one that ends in a gap: whether others go on, and it does not for more than a moment."""


class RenditionFeed:
    """One rendition of a followed broadcast, as requests see it."""

    __slots__ = ("_answers", "_media", "_parts", "_playlists", "_presentation", "name", "shortcuts", "store")

    def __init__(self, name: str, store: RenditionStore, presentation: Presentation) -> None:
        self.name = name
        self.store = store
        self._presentation = presentation
        self._answers = PlaylistAnswers(lambda: presentation.windows_except(name), lambda: presentation.moments)
        self.shortcuts = Shortcuts()
        self._media: dict[str, Response] = {}
        self._playlists: HeldRequests[PlaylistKey] = HeldRequests()
        self._parts: HeldRequests[int] = HeldRequests()

    @property
    def window(self) -> RenditionWindow | None:
        """The window, once the rendition's record is known."""
        return self.store.window

    @property
    def _lists_whole_segment(self) -> bool:
        window = self.store.window
        return window is not None and window.lists_whole_segment

    def forget_answers(self) -> None:
        """The playlist changed: what was built of it is old."""
        self.shortcuts.clear()
        self._answers.forget()
        self._media.clear()

    # -- playlists

    def playlist(self, face: Face, asked: Directives, *, gzip: bool) -> Response | None:
        """The answer to a playlist request, or None: hold it.

        Who names no part may not know them, and gives up on a playlist that lists no whole segment: FFmpeg, VLC
        and shaka do. So theirs comes when there is one; who asks for a part gets it as soon as that is there.
        """
        record, window = self._presentation.record, self.store.window
        position = self._position(face)
        if face is Face.CLASSIC:  # knows no directives
            asked = _NOTHING_ASKED
        elif (
            face is Face.LIVE
            and asked.msn is None
            and not self._presentation.ended
            and not self._lists_whole_segment
        ):
            return None
        answer = decide(asked, position, ended=self._presentation.ended, part_target_s=record.part_target_s)
        if isinstance(answer, Wait):
            return GAPS_FOR_NOW if face is Face.LIVE and self._is_withdrawn(window) else None
        if isinstance(answer, Refuse):
            return error("playlist", answer.status, answer.reason)
        if window is None or window.position is None or (face is Face.I_FRAMES and self._is_sound):
            return UNKNOWN_RENDITION
        kind = Kind(face, asked.msn is not None, asked.skip, gzip, asked.skip_date_ranges)
        return self._answers.get(window, record, kind)

    def _is_withdrawn(self, window: RenditionWindow | None) -> bool:
        """Whether what comes next is a gap, and not for a moment only.

        Nobody is to wait for that. hls.js passes over GAP parts until the whole segment is one, and runs dry
        meanwhile; at a refusal it takes another rendition at once.
        """
        return (
            window is not None and window.ends_in_gap and self._presentation.is_without_pictures(self.name, window)
        )

    def hold_playlist(self, face: Face, asked: Directives, gzip: bool, waiter: Waiter) -> Release:
        """Holds a playlist request."""
        return self._playlists.add((face, asked, gzip), waiter)

    def playlist_group(self, face: Face, asked: Directives, gzip: bool) -> Group | None:
        """Those who wait for the same playlist, for a shortcut; None when there can be no more."""
        return self._playlists.keep((face, asked, gzip))

    def part_group(self, serial: int) -> Group | None:
        """Those who wait for the same part."""
        return self._parts.keep(serial)

    def _position(self, face: Face) -> Position | None:
        window = self.store.window
        if window is None or not self._presentation.caught_up:
            return None
        return window.position if face is Face.LIVE else window.complete_position

    # -- media

    def media(self, file: str) -> Response | Kept | int | None:
        """The answer for a file name; where it lies in the spool; a part's serial when it must be held.

        None: there is no such thing.
        """
        known = self._media.get(file)
        if known is not None:
            return known
        kind, number, window = file[:1], _number(file), self.store.window
        if number is None:
            return None
        found: Response | Kept | int | None = None
        if kind == "i":
            found = self._init(number)
        elif kind == "p":
            found = self._part(number)
        elif kind in "sk" and window is not None:
            found = self._whole(window, number, picture=kind == "k")
        elif kind == "d" and window is not None:
            found = self._initialised(window, number)
        if isinstance(found, Response):
            self._media[file] = found
        return found

    def _whole(self, window: RenditionWindow, msn: int, *, picture: bool) -> Response | Kept | None:
        segment = window.segment(msn)
        if segment is not None:
            return self._segment(segment, picture=picture)
        gap = None if picture else window.gap(msn)
        return None if gap is None else self._filler(window, gap)

    def _segment(self, segment: StoredSegment, *, picture: bool) -> Response | Kept | None:
        """A segment, or the fragment that shows its first picture."""
        if picture and (self._is_sound or not segment.key_size()):
            return None
        if segment.released:
            place = segment.place
            return None if place is None else Kept(segment.msn, segment.ticks, place, picture)
        body = (key_fragment(segment.parts[0].chunks[0], segment.ticks),) if picture else segment.body()
        return self.media_response("segment", body)

    def _initialised(self, window: RenditionWindow, msn: int) -> Response | Kept | None:
        """A segment behind its initialisation section; without it when the segment is on disk only."""
        segment = window.segment(msn) or window.gap(msn)
        init = self._init(segment.init) if segment is not None else None
        found = self._whole(window, msn, picture=False)
        if not isinstance(found, Response) or init is None:
            return found
        return self.media_response("segment", (*init.body, *found.body))

    def _filler(self, window: RenditionWindow, gap: StoredSegment) -> Response:
        """For players that do not know EXT-X-GAP and ask all the same: by a refusal VLC ends, and GStreamer asks
        for ever. It is the last key frame before the gap, or the first sound of that segment, once.
        """
        before = window.key_before(gap)
        body = () if before is None else (key_fragment(before[0], gap.ticks, before[1]),)
        return self.media_response("part", body)

    def _part(self, serial: int) -> Response | int | None:
        window, presentation = self.store.window, self._presentation
        part = window.part(serial) if window is not None else None
        if part is not None:
            return self.media_response("part", tuple(part.chunks))
        if presentation.ended or (window is None and presentation.caught_up and self.store.record is None):
            return None
        next_serial = window.next_serial if window is not None else 0
        hinted = serial == next_serial and (window is not None and window.position is not None)
        return serial if hinted or (serial >= next_serial and not presentation.caught_up) else None

    def _init(self, number: int) -> Response | None:
        record = self.store.record
        for init in record.inits if record is not None else ():
            if init.init == number:
                return self.media_response("init", (init.data,))
        return None

    @property
    def _is_sound(self) -> bool:
        record = self.store.record
        return record is not None and all(init.video is None for init in record.inits)

    def media_response(self, resource: str, body: tuple[bytes, ...]) -> Response:
        """The answer with media of this rendition."""
        age_s = 6 * self._presentation.record.target_duration_s if resource == "part" else LONG_S
        return media(resource, "audio" if self._is_sound else "video", age_s, body)

    def hold_part(self, serial: int, waiter: Waiter) -> Release:
        """Holds a request for the part that comes next."""
        return self._parts.add(serial, waiter)

    # -- what became ready

    def ready(self) -> Iterator[tuple[list[Waiter], Response]]:
        """Removes and yields who can be answered now, with the one answer for all of them."""
        self.shortcuts.clear()
        answers: dict[PlaylistKey, Response] = {}
        for key in self._playlists.keys():  # noqa: SIM118 - a method of ours, not a dict's
            response = self.playlist(key[0], key[1], gzip=key[2])
            if response is not None:
                answers[key] = response
        for key, waiters in self._playlists.take(answers.__contains__):
            yield waiters, answers[key]
        for serial in self._parts.keys():  # noqa: SIM118 - a method of ours, not a dict's
            found = self.media(f"p{serial}.m4s")
            if not isinstance(found, int):
                response = found if isinstance(found, Response) else UNKNOWN_MEDIA
                for _, waiters in self._parts.take(serial.__eq__):
                    yield waiters, response

    def take_all(self) -> Iterator[list[Waiter]]:
        """Removes and yields everybody who is held."""
        for _, waiters in self._playlists.take(lambda _: True):
            yield waiters
        for _, waiters in self._parts.take(lambda _: True):
            yield waiters


def _number(file: str) -> int | None:
    stem, _, extension = file[1:].partition(".")
    if extension != ("mp4" if file[:1] == "i" else "m4s"):
        return None
    if not (stem.isascii() and stem.isdigit()) or len(stem) > 12 or (stem[0] == "0" and stem != "0"):
        return None
    return int(stem)
