"""From a request to its answer: media, playlists, documents, pages, and what belongs to other roles."""

import functools
import os
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from appliance.contracts.directory import CHANNEL_NAME, Access
from appliance.contracts.media import AUDIO
from edge.access.paths import PREFIX, split
from edge.origin.acme import Challenges
from edge.origin.addresses import client_address
from edge.origin.archive import Archive
from edge.origin.audience import Audience
from edge.origin.bodies import BEACON_PATH
from edge.origin.catalogue import Catalogue
from edge.origin.crowding import Crowding
from edge.origin.events import EventStream
from edge.origin.feed import BroadcastFeed
from edge.origin.grant_desk import GrantDesk
from edge.origin.guard import CHECK_PATH, Guard, document
from edge.origin.health_stream import HealthStream
from edge.origin.held import Group, Release, Waiter, hold_range
from edge.origin.metrics import Tally
from edge.origin.playlists import Face
from edge.origin.quality.receiver import Beacons
from edge.origin.rendition import UNKNOWN_MEDIA, UNKNOWN_RENDITION, RenditionFeed
from edge.origin.responses import FULL, PREFLIGHT, SHORT, Response, error, ranged, text
from edge.origin.shortcuts import Asker, Count, Shortcut
from edge.origin.static import Pages
from edge.origin.stored import Kept
from edge.origin.thumbs import Thumbs
from edge.protocols.hls.errors import DirectiveError
from edge.protocols.hls.reload import Directives, parse_directives
from edge.protocols.http.cmcd import session_id
from edge.protocols.http.request import RequestHead


def _is_shared(request: RequestHead) -> bool:
    """Whether equal requests may have the same answer without another look: nothing in it says who asks."""
    fields = request.headers.fields
    return (
        request.method == "GET"
        and "x-forwarded-for" not in fields
        and "CMCD" not in request.query
        and not any(name.startswith("cmcd-") for name in fields)
    )


def _range_of(request: RequestHead) -> str:
    """The Range field, empty where there is none to look at: whatever a client has, it knows no validator of ours
    (RFC 9110, 13.1.5)."""
    fields = request.headers.fields
    return "" if request.method != "GET" or "if-range" in fields else fields.get("range", "")


JSON = "application/json; charset=utf-8"
_UNKNOWN_CHANNEL = error("multivariant", 404, "There is no such channel.")
_CROWDED = error("multivariant", 503, "This server has as many viewers as it can take. Try again in a moment.")
_NOT_LIVE = error("multivariant", 410, "This channel is not live now.")
_UNKNOWN_BROADCAST = error("media", 404, "There is no such broadcast.")
_OVER = error("media", 410, "This broadcast is over.")
_NOT_FOUND = error("page", 404, "There is nothing here.")
_PRESENTATIONS = {face.value: face for face in (Face.LIVE, Face.CLASSIC, Face.AUDIO)}
_PLAYLISTS = {face.value: face for face in (Face.LIVE, Face.CLASSIC, Face.I_FRAMES)}
_READING = frozenset({"GET", "HEAD"})
_WHEP = "/whep/"  # looks at grants by itself
_METHOD = error("request", 405, "This can only be read.")
_IRC = "/irc"
_AWAY = error("handoff", 503, "What answers here is away for a moment.")
_ALIVE = error("health", 200, "ok")
_READY = error("health", 200, "ready")
_NOT_READY = error("health", 503, "not ready")


class Handoff(Protocol):
    """Gives a connection to another role (appliance.runtime.handoff.HandoffSender)."""

    def send(self, fd: int, head: bytes, peer: str) -> bool:
        """False when the other role is away."""


class Caller(Waiter, Protocol):
    """The connection a request came on."""

    @property
    def address(self) -> str:
        """The client's."""

    @property
    def port(self) -> int:
        """The client's."""

    @property
    def rest(self) -> bytes:
        """Bytes after the head."""

    @property
    def gone(self) -> bool:
        """Whether the client has left."""

    def has_room(self) -> bool:
        """Whether one more request may be held."""

    def hold(self, release: Release, until: float) -> None:
        """Parks the request."""

    def stream(self, response: Response) -> None:
        """Begins an answer without end."""

    def push(self, data: bytes) -> None:
        """Goes on with it."""

    def end(self) -> None:
        """Ends it."""

    def descriptor(self) -> int | None:
        """A second descriptor of the socket, which the receiver closes."""

    def leave(self) -> None:
        """Closes our descriptor; the connection itself lives on elsewhere."""


class Routes:
    """`serve` answers, or returns None when the request is held, streamed or handed on."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        pages: Pages,
        events: EventStream,
        health: HealthStream,
        thumbs: Thumbs,
        audience: Audience,
        beacons: Beacons,
        guard: Guard,
        desk: GrantDesk,
        archive: Archive | None = None,
        crowding: Crowding | None = None,
        tally: Tally,
        clock: Callable[[], float],
        is_ready: Callable[[], bool],
        handoffs: Mapping[str, Handoff],
        rtmp_port: int = 1935,
        challenges: Challenges | None = None,
    ) -> None:
        self._ingest = b'{"rtmp_port":%d}' % rtmp_port
        self._challenges = challenges or Challenges(None)
        self._catalogue = catalogue
        self._pages = pages
        self._events = events
        self._health = health
        self._thumbs = thumbs
        self._audience = audience
        self._beacons = beacons
        self._guard = guard
        self._desk = desk
        self._archive = archive
        self._crowding = crowding or Crowding()
        self._tally = tally
        self._clock = clock
        self._is_ready = is_ready
        self._handoffs = [(prefix.rstrip("/"), sender) for prefix, sender in handoffs.items()]

    def serve(self, caller: Caller, request: RequestHead) -> Response | None:
        """The answer to `request`."""
        path = request.path
        if path.startswith(("/media/", "/live/", "/thumb/")):
            return self._watch(caller, request, path, "")
        if path.startswith(PREFIX):
            grant, path = split(path)
            if path.startswith(_WHEP) and (whep := self._other_role(path)) is not None:
                return self._hand_on(caller, request, whep)
            return self._watch(caller, request, path, grant)
        sender = self._other_role(_IRC if _is_irc(request) else path)
        if sender is not None:
            return self._hand_on(caller, request, sender)
        if path == BEACON_PATH and request.method not in _READING:
            return self._beacons.serve(caller, request)
        if request.method == "OPTIONS":
            return PREFLIGHT
        if request.method not in _READING:
            return _METHOD
        return self._probe(request) or self._pages.find(path, gzip=request.headers.gzip) or _NOT_FOUND

    def _watch(self, caller: Caller, request: RequestHead, path: str, grant: str) -> Response | None:
        """What belongs to channels; `path` is without the grant."""
        if request.method == "OPTIONS":
            return PREFLIGHT
        if request.method not in _READING:
            return _METHOD
        segments = path.split("/")
        kind = segments[1] if len(segments) > 1 else ""
        if kind == "media" and len(segments) == 5:
            return self._media(caller, request, segments, grant)
        if kind == "live" and len(segments) in (3, 4):
            return self._live(caller, request, segments[2:], grant)
        if kind == "thumb" and len(segments) in (3, 4):
            return self._thumbs.serve(
                caller, request.headers, "/".join(segments[2:]), lambda name: self._guard.refusal(name, grant)
            )
        return _NOT_FOUND

    def _probe(self, request: RequestHead) -> Response | None:
        """Answers for whoever watches over this process, or asks on behalf of a cache."""
        path = request.path
        if path == CHECK_PATH:
            return self._guard.check(request)
        if path == "/healthz":
            return _ALIVE
        if path == "/readyz":
            return _READY if self._is_ready() else _NOT_READY
        return self._challenges.find(path)

    # -- other roles

    def _other_role(self, path: str) -> Handoff | None:
        for prefix, sender in self._handoffs:
            if path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/"):
                return sender
        return None

    def _hand_on(self, caller: Caller, request: RequestHead, sender: Handoff) -> Response | None:
        fd = caller.descriptor()
        if fd is None:
            return _AWAY
        try:
            taken = sender.send(fd, request.raw + caller.rest, caller.address)
        finally:
            os.close(fd)
        if not taken:
            self._tally.event("handoff_refused")
            return _AWAY
        self._tally.event("handed_off")
        caller.leave()
        return None

    # -- media

    def _media(self, caller: Caller, request: RequestHead, segments: list[str], grant: str) -> Response | None:
        _, _, broadcast_id, name, file = segments
        feed = self._catalogue.feed(broadcast_id)
        if feed is None:
            return _OVER if self._catalogue.broadcast(broadcast_id) is not None else _UNKNOWN_BROADCAST
        if feed.protected and (refusal := self._guard.refusal(feed.record.channel, grant)) is not None:
            return refusal
        rendition = feed.renditions.get(name) or self._expected(feed, name)
        if rendition is None:
            return UNKNOWN_RENDITION
        face = _PLAYLISTS.get(file)
        if face is not None:
            return self._playlist(caller, request, feed, rendition, face, grant)
        return self._piece(caller, request, feed, rendition, file, grant)

    def _piece(
        self,
        caller: Caller,
        request: RequestHead,
        feed: BroadcastFeed,
        rendition: RenditionFeed,
        file: str,
        grant: str,
    ) -> Response | None:
        """A part, a segment or an initialisation segment."""
        found, asked = rendition.media(file), _range_of(request)
        if isinstance(found, int) and asked:
            hold = functools.partial(rendition.hold_part, found)
            return self._hold(caller, feed, grant, lambda: hold_range(hold, asked, caller))
        if isinstance(found, int):
            held = self._hold(caller, feed, grant, lambda: rendition.hold_part(found, caller))
            if held is None and not feed.protected and _is_shared(request):
                self._wait_again(request, feed, rendition, rendition.part_group(found), None)
            return held
        if found is None and not feed.caught_up:  # a process that has just begun to follow does not know yet
            return self._hold(caller, feed, grant, lambda: feed.hold_early(self._again(caller, request)))
        if found is None:
            return UNKNOWN_MEDIA
        if isinstance(found, Kept):
            return self._rewound(caller, feed, rendition, found, asked, grant)
        if asked:
            return ranged(found, asked)
        if not feed.protected and _is_shared(request):
            rendition.shortcuts.add(request, Shortcut(found, None))
        return found

    def _again(self, caller: Caller, request: RequestHead) -> Callable[[], None]:
        def serve() -> None:
            response = self.serve(caller, request)
            if response is not None:
                caller.answer(response)

        return serve

    def _rewound(
        self, caller: Caller, feed: BroadcastFeed, rendition: RenditionFeed, kept: Kept, asked: str, grant: str
    ) -> Response | None:
        archive, broadcast_id = self._archive, feed.record.broadcast_id
        if archive is None:
            return UNKNOWN_MEDIA
        found = archive.get(broadcast_id, rendition, kept)
        if found is not None:
            return ranged(found, asked) if asked else found
        if archive.is_busy(broadcast_id, rendition, kept):
            return FULL
        return self._hold(caller, feed, grant, lambda: archive.hold(broadcast_id, rendition, kept, asked, caller))

    def _expected(self, feed: BroadcastFeed, name: str) -> RenditionFeed | None:
        """A rendition that will come: promised by the broadcast's record."""
        record = feed.record
        if name in record.ladder or (name in (AUDIO, record.audio) and record.has_audio):
            return feed.rendition(name)
        return None

    def _playlist(
        self,
        caller: Caller,
        request: RequestHead,
        feed: BroadcastFeed,
        rendition: RenditionFeed,
        face: Face,
        grant: str,
    ) -> Response | None:
        try:
            asked = parse_directives(request.query)
        except DirectiveError as failure:
            return error("playlist", 400, failure.detail)
        counts = face is not Face.I_FRAMES and feed.counts_viewers(rendition.name)
        if counts:
            feed.demand.asked(rendition.name, self._clock())
            self._count(caller, request, feed, rendition.name, asked)
        gzip = request.headers.gzip
        response = rendition.playlist(face, asked, gzip=gzip)
        shares = not feed.protected and _is_shared(request)
        count = self._counter(request, feed, rendition.name, asked) if counts and shares else None
        if response is None:
            refused = self._hold(caller, feed, grant, lambda: rendition.hold_playlist(face, asked, gzip, caller))
            if refused is None and shares:
                group = rendition.playlist_group(face, asked, gzip)
                self._wait_again(request, feed, rendition, group, count)
            return refused
        if response.status == 200 and shares:
            rendition.shortcuts.add(request, Shortcut(response, count))
        return response

    def _wait_again(
        self,
        request: RequestHead,
        feed: BroadcastFeed,
        rendition: RenditionFeed,
        group: Group | None,
        count: Count | None,
    ) -> None:
        """Who asks in the same words waits with those who do."""
        if group is not None:
            rendition.shortcuts.add(request, Shortcut(None, count, group, _held_s(feed)))

    def _counter(self, request: RequestHead, feed: BroadcastFeed, rendition: str, asked: Directives) -> Count:
        """Counts those who asked in the same words, as `_count` does."""
        agent = request.headers.get("user-agent")
        question = -1 if asked.msn is None else asked.msn

        def tell(askers: Collection[Asker]) -> None:
            now = self._clock()
            feed.last_request = now
            feed.demand.asked(rendition, now)
            for address, port in askers:
                group = address, agent
                self._audience.asked_by_nobody(feed.record.broadcast_id, group, port, question, now)
                feed.demand.note(rendition, group, port, question, now)

        return Count(tell, each=asked.msn is None or asked.part in (None, 1))

    def _count(
        self, caller: Caller, request: RequestHead, feed: BroadcastFeed, rendition: str, asked: Directives
    ) -> None:
        headers, now = request.headers, self._clock()
        session = session_id(headers, request.query)
        if not session and asked.msn is not None and asked.part not in (None, 1):
            return  # once a segment is enough
        address = client_address(caller.address, headers)
        if session:
            self._audience.asked(feed.record.broadcast_id, rendition, session, address, now)
            return
        group = address, headers.get("user-agent")
        question = -1 if asked.msn is None else asked.msn
        self._audience.asked_by_nobody(feed.record.broadcast_id, group, caller.port, question, now)
        feed.demand.note(rendition, group, caller.port, question, now)

    def _hold(
        self, caller: Caller, feed: BroadcastFeed, grant: str, park: Callable[[], Release]
    ) -> Response | None:
        if not caller.has_room():
            return FULL
        release = park()
        if feed.protected:
            release = self._guard.watch(caller, grant, feed.record.channel, release)
        caller.hold(release, self._clock() + _held_s(feed))
        return None

    # -- what is live

    def _live(self, caller: Caller, request: RequestHead, rest: list[str], grant: str) -> Response | None:
        gzip = request.headers.gzip
        if rest == ["channels.json"]:
            return text("document", JSON, SHORT, self._catalogue.channels_document(), gzip=gzip)
        if rest == ["ingest.json"]:
            return text("document", JSON, SHORT, self._ingest, gzip=gzip)
        if rest == ["events"]:
            return self._events.join(caller) if request.method == "GET" else _METHOD
        if len(rest) != 2 or not CHANNEL_NAME.match(rest[0]):
            return _UNKNOWN_CHANNEL
        return self._channel(caller, request, rest[0], rest[1], grant)

    def _channel(self, caller: Caller, request: RequestHead, name: str, what: str, grant: str) -> Response | None:
        gzip = request.headers.gzip
        face = _PRESENTATIONS.get(what)
        if face is not None:
            return self._multivariant(caller, name, face, gzip, grant)
        if what == "status.json":
            status = self._catalogue.status_document(name)
            return _UNKNOWN_CHANNEL if status is None else text("document", JSON, SHORT, status, gzip=gzip)
        if what not in ("health", "grant"):
            return _NOT_FOUND
        if request.method != "GET":
            return _METHOD
        return (
            self._health.join(caller, request, name)
            if what == "health"
            else self._grant(caller, request, name, grant)
        )

    def _grant(self, caller: Caller, request: RequestHead, channel: str, grant: str) -> Response | None:
        access = self._guard.access(channel)
        if access is None:
            return _UNKNOWN_CHANNEL
        if access is Access.PUBLIC:
            return document({"grant": None})
        return self._guard.renew(channel, grant) if grant else self._desk.serve(caller, request, channel)

    def _multivariant(self, caller: Caller, channel: str, face: Face, gzip: bool, grant: str) -> Response | None:
        record = self._catalogue.live(channel)
        if record is None:
            return _NOT_LIVE if self._catalogue.channel(channel) is not None else _UNKNOWN_CHANNEL
        feed = self._catalogue.feed(record.broadcast_id)
        if feed is None:
            return _NOT_LIVE
        if feed.protected and (refusal := self._guard.refusal(channel, grant)) is not None:
            return refusal
        if self._crowding.is_full:
            self._tally.event("over_crowded")
            return _CROWDED
        feed.expect_viewer(self._clock())
        response = feed.multivariant(face, gzip=gzip, now=self._clock())
        if response is None:
            return self._hold(caller, feed, grant, lambda: feed.hold_multivariant(face, gzip, caller))
        return response


def _held_s(feed: BroadcastFeed) -> float:
    """Seconds that a request is held at most (RFC 8216bis, 6.2.5.2)."""
    return 3.0 * feed.record.target_duration_s


def _is_irc(request: RequestHead) -> bool:
    """Whether it is the WebSocket of a client such as tmi.js, which can be told a host but no path."""
    return (
        request.headers.upgrade and request.path == "/" and request.headers.get("sec-websocket-protocol") == "irc"
    )
