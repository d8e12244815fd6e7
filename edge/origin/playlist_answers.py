"""The playlists of one rendition as answers: built once per update and kind of question, however many ask."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from appliance.contracts.media import Broadcast
from appliance.contracts.moments import Moment
from edge.origin import playlists
from edge.origin.playlists import Face
from edge.origin.responses import PLAYLIST_TYPE, Response, long_text
from edge.origin.settled import SettledLines
from edge.origin.window import RenditionWindow
from edge.protocols.hls.media import MediaPlaylist, render_head, render_tail, skipping, skipping_date_ranges
from edge.protocols.http.gzip import Piece

LONG_S = 3600


class Kind(NamedTuple):
    """A kind of question. `skip`: a delta update; `skip_date_ranges`: without those of skipped segments."""

    face: Face
    blocking: bool = False
    skip: bool = False
    gzip: bool = False
    skip_date_ranges: bool = False


Others = Callable[[], Mapping[str, RenditionWindow]]


class PlaylistAnswers:
    """`others`: the windows of the renditions to report on; `moments`: what happened in the broadcast."""

    def __init__(self, others: Others, moments: Callable[[], Sequence[Moment]] = tuple) -> None:
        self._others = others
        self._moments = moments
        self._built: dict[Kind, Response] = {}
        self._settled = {
            Face.LIVE: SettledLines(playlists.settled_segment),
            Face.I_FRAMES: SettledLines(playlists.i_frame),
        }

    def forget(self) -> None:
        """The playlist changed: what was built of it is old."""
        self._built.clear()

    def get(self, window: RenditionWindow, broadcast: Broadcast, kind: Kind) -> Response:
        """The answer to this kind of question."""
        response = self._built.get(kind)
        if response is None:
            response = self._built[kind] = self._build(window, broadcast, kind)
        return response

    def _build(self, window: RenditionWindow, broadcast: Broadcast, kind: Kind) -> Response:
        face, skip = kind.face, kind.skip
        first = 0 if face is Face.CLASSIC else playlists.skippable(window, broadcast)
        playlist = self._playlist(window, broadcast, face, first)
        moments, head_ms = self._moments(), self._head_ms(window, playlist)
        if moments:
            playlist = dataclasses.replace(playlist, date_ranges=playlists.date_ranges(moments, head_ms))
        if skip and first:
            playlist = skipping(playlist, first)
            if kind.skip_date_ranges:
                playlist = skipping_date_ranges(playlist, playlists.gone(moments, head_ms, broadcast))
        settled = [] if skip or not first else self._settled[face].pieces(window, first)
        pieces = [Piece(render_head(playlist)), *settled, Piece(render_tail(playlist))]
        cache = _cache(broadcast, blocking=kind.blocking, ended=window.ended)
        return long_text("playlist", PLAYLIST_TYPE, cache, pieces, gzip=kind.gzip)

    def _head_ms(self, window: RenditionWindow, playlist: MediaPlaylist) -> int:
        head = window.segments[playlist.media_sequence - window.segments[0].msn]
        return head.pdt_us // 1000

    def _playlist(self, window: RenditionWindow, broadcast: Broadcast, face: Face, first: int) -> MediaPlaylist:
        if face is Face.CLASSIC:
            return playlists.classic_playlist(window, broadcast)
        if face is Face.I_FRAMES:
            return playlists.i_frame_playlist(window, broadcast, first)
        return playlists.media_playlist(window, broadcast, self._others(), first)


def _cache(broadcast: Broadcast, *, blocking: bool, ended: bool) -> str:
    target = broadcast.target_duration_s
    if ended:
        return f"public, max-age={LONG_S}"
    if blocking:
        # Long lifetimes only for shared caches: a browser's own cache would answer a repeated question
        # with the old playlist.
        return f"public, max-age=0, s-maxage={6 * target}"
    return f"public, max-age=0, s-maxage={max(1, target // 2)}"
