"""The further video tracks of an encoder: which renditions they are, and those of the broadcast that do not come.

A track may begin at any time. One that the broadcast had before goes on as the same rendition. One that is new to
a broadcast which has begun has a name that no rung has: a transcoder may write under the plain one.
"""

from edge.ingest import problems
from edge.ingest.absent_path import AbsentPath
from edge.ingest.contributed_path import ContributedPath
from edge.ingest.inputs import AccessUnit, VideoInput
from edge.ingest.names import possible_names, track_name
from edge.ingest.rendition import Append
from edge.ingest.shared import Shared
from edge.ingest.video_path import VideoPath
from edge.media.segmenter import Segmenter
from edge.protocols.codecs.picture import Picture
from edge.protocols.flv import VideoTag
from edge.protocols.flv.names import VP8


class Tracks:
    """All but the source's. `names` are their renditions, in the order in which they began."""

    def __init__(self, shared: Shared, source: VideoPath) -> None:
        self.names: list[str] = []
        self._shared = shared
        self._source = source
        self._paths: dict[int, ContributedPath] = {}
        self._absent: dict[str, AbsentPath] = {}

    @property
    def segmenters(self) -> list[Segmenter]:
        """Those of the tracks that come."""
        return [path.segmenter for path in self._paths.values()]

    def add(self, track: int, one: VideoInput, now_us: int, *, is_late: bool = False) -> list[Append]:
        """Takes the track on whose configuration `one` knows, and what has to be appended first."""
        source, shared = one.source, self._shared
        if source is None or source.entry == VP8:
            self._say_unsupported(one)
            return []
        name = self._name(source.picture, is_late=is_late)
        absent = self._absent.get(name)
        if absent is not None and absent.is_over:
            shared.problem(problems.video_track_late())
            return []
        path = self._paths[track] = ContributedPath(shared, name, track, self._source.segmenter.next_msn)
        self.names.append(name)
        shared.revision += 1
        if absent is not None:
            del self._absent[name]
            self._source.followers[self._source.followers.index(absent)] = path
            if absent.has_begun:
                path.go_on(absent.segmenter, absent.boundaries)
                return []
        else:
            self._source.followers.append(path)
            if self._source.begun is not None:
                path.boundary(self._source.begun)
        last = shared.last_point()
        if shared.overlap and last is not None:
            path.begin_behind(last.end_media_time)
        return shared.close_left_open(path.output, now_us) if absent is None else []

    def miss(self, names: list[str], now_us: int) -> list[Append]:
        """Renditions of the broadcast of which this session sends nothing yet."""
        out: list[Append] = []
        for name in names:
            absent = self._absent[name] = AbsentPath(self._shared, name, self._source.segmenter.next_msn)
            self._source.followers.append(absent)
            out += self._shared.close_left_open(absent.output, now_us)
        return out

    def take(self, one: VideoInput, tag: VideoTag, stamp: int, now_us: int) -> list[Append]:
        """A message of a track. CodecError when it is damaged."""
        before, unit, path = one.source, one.take(tag), self._paths.get(tag.track)
        if path is None:
            return self._begin_late(one, tag.track, unit, stamp, now_us)
        if one.source != before and path.source is not None and one.source != path.source:
            self._shared.discontinuity = True  # all renditions start a segment where one has to
        return path.unit(one.source, unit, stamp, now_us) if unit is not None else []

    def finish(self, now_us: int) -> list[Append]:
        """The end of the session."""
        out: list[Append] = []
        for path in self._paths.values():
            out += path.finish(now_us)
        for absent in self._absent.values():
            out += absent.finish(now_us)
        return out

    def _begin_late(
        self, one: VideoInput, track: int, unit: AccessUnit | None, stamp: int, now_us: int
    ) -> list[Append]:
        if unit is None or not unit.key or one.source is None:
            self._say_unsupported(one)
            return []
        out = self.add(track, one, now_us, is_late=True)
        path = self._paths.get(track)
        return out + path.unit(one.source, unit, stamp, now_us) if path is not None else out

    def _say_unsupported(self, one: VideoInput) -> None:
        name = one.unsupported or ("VP8" if one.source is not None and one.source.entry == VP8 else "")
        if name:
            self._shared.problem(problems.video_track(name))

    def _name(self, picture: Picture, *, is_late: bool) -> str:
        """The one that the broadcast has for such a track, or a new one."""
        used, known = {path.name for path in self._paths.values()}, self._shared.resume
        before = next((name for name in possible_names(picture) if name in known and name not in used), "")
        if before:
            return before
        begun = [next(possible_names(picture))] if is_late or known else []
        return track_name(picture, {*used, *known, *begun})
