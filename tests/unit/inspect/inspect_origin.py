"""A small correct origin without sockets, and the faults that are put into it.

It serves a broadcast that began AGE_S ago, one rendition of video and one of audio, with two variants on them:
real CMAF around made-up NAL units, playlists rendered from `edge.protocols.hls`, requests held by its rules.
"""

import asyncio
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from edge.inspect.http_client import Ask
from edge.inspect.observations import Exchange
from edge.protocols.codecs.aac import build_config
from edge.protocols.codecs.avc import AvcConfig
from edge.protocols.fmp4 import AudioTrack, Sample, VideoTrack, fragment, init_segment
from edge.protocols.hls import media, multivariant
from edge.protocols.hls.errors import DirectiveError
from edge.protocols.hls.media import MediaPlaylist, Part, RenditionReport, Segment, ServerControl
from edge.protocols.hls.multivariant import AudioRendition, MultivariantPlaylist, Variant
from edge.protocols.hls.reload import WHOLE, Directives, Position, Refuse, Wait, decide, parse_directives
from edge.protocols.http.errors import RangeNotSatisfiableError
from edge.protocols.http.ranges import parse_range

BASE = "https://origin.test/live/"
MICRO = 1_000_000
AGE_S = 24.0
START_MS = 1_700_000_000_000
PART_US, PARTS, TARGET_S = 500_000, 4, 2
SEGMENT_US = PART_US * PARTS
LATENCY_S = 0.001
VIDEO_SCALE, AUDIO_SCALE = 90_000, 48_000

Headers = dict[str, str]


@dataclasses.dataclass(frozen=True)
class Options:
    """What kind of presentation it is."""

    ended: bool = False
    window: int = 0  # segments listed at most, 0 for all
    low_latency: bool = True
    iframes: bool = False
    dateranges: bool = False
    steering: bool = False
    age_s: float = AGE_S
    stall_at_s: float = 1e9  # nothing new comes after so many seconds of the watch
    http2: bool = True
    two: bool = False  # renditions of video


@dataclasses.dataclass(frozen=True)
class Fault:
    """A requirement that is violated on purpose. Every hook may change what the origin would have said."""

    name: str
    text: Callable[["Origin", str, str, str], str] | None = None  # playlist, its name, the query
    value: Callable[["Origin", str, MediaPlaylist], MediaPlaylist] | None = None
    master: Callable[[str], str] | None = None
    samples: Callable[[str, int, int, list[Sample]], list[Sample]] | None = None  # of a part
    part: Callable[[str, int, int, bytes], bytes] | None = None  # its bytes, also within its segment
    whole: Callable[[str, int, bytes], bytes] | None = None  # a segment's bytes
    init: Callable[["Origin", str, int, bytes], bytes] | None = None
    answer: Callable[["Origin", Ask, Exchange], Exchange] | None = None
    directives: Callable[["Origin", str, Directives | None], Directives | int | None] | None = None
    delay_s: Callable[["Origin", str], float] | None = None  # of the answer to a URL
    options: Options = Options()
    also: frozenset[str] = frozenset()  # what is violated with it, of necessity
    seconds: float = 2.2
    url: str = BASE + "index.m3u8"

    @property
    def names(self) -> set[str]:
        """All that has to be reported."""
        return {self.name, *self.also}


class Origin:
    """A `Fetcher`. `began` is the loop's time at which the watch begins."""

    def __init__(self, fault: Fault, began: float) -> None:
        self.fault = fault
        self.options = fault.options
        self.names = ("high", "low", "audio") if fault.options.two else ("high", "audio")
        self._began = began
        self._connected = False

    # -- the broadcast

    @property
    def elapsed(self) -> float:
        """Seconds since the watch began."""
        return asyncio.get_running_loop().time() - self._began

    @property
    def parts_done(self) -> int:
        """Parts that are complete."""
        content = min(self.elapsed, self.options.stall_at_s) if not self.options.ended else 0.0
        return int((content + self.options.age_s) * MICRO / PART_US + 1e-6)

    async def until_part(self, number: int) -> None:
        """Waits until a part is complete."""
        while self.parts_done <= number:
            if self.elapsed >= self.options.stall_at_s:
                await asyncio.sleep(3600)
            due = (number + 1) * PART_US / MICRO - self.options.age_s
            await asyncio.sleep(max(due - self.elapsed, 1e-4))

    def position(self) -> Position:
        """How far playlists go."""
        last = self.parts_done - 1
        if not self.options.low_latency:
            return Position(self.parts_done // PARTS - 1, WHOLE)
        return Position(last // PARTS, last % PARTS)

    # -- media

    def samples(self, name: str, msn: int, index: int) -> list[Sample]:
        """Samples of a part."""
        made = _samples(name, msn, index)
        return self.fault.samples(name, msn, index, list(made)) if self.fault.samples is not None else made

    def part(self, name: str, msn: int, index: int) -> bytes:
        """A part."""
        if self.fault.samples is None:
            data = _part(name, msn, index)
        else:
            samples = self.samples(name, msn, index)
            data = fragment(1, msn * PARTS + index, samples[0].dts, samples)
        return self.fault.part(name, msn, index, data) if self.fault.part is not None else data

    def segment(self, name: str, msn: int) -> bytes:
        """A segment: its parts."""
        data = b"".join(self.part(name, msn, index) for index in range(PARTS))
        return self.fault.whole(name, msn, data) if self.fault.whole is not None else data

    def init(self, name: str, number: int) -> bytes:
        """An initialisation segment."""
        if name == "audio":
            data = init_segment(AudioTrack(config=build_config(48_000, 2), timescale=AUDIO_SCALE, channels=2))
        else:
            size = (1280, 720) if name == "high" else (640, 360)
            data = init_segment(VideoTrack(config=avc_config(), width=size[0], height=size[1]))
        return self.fault.init(self, name, number, data) if self.fault.init is not None else data

    # -- playlists

    def playlist(self, name: str) -> MediaPlaylist:
        """A media playlist as it is."""
        done, low_latency, ended = self.parts_done, self.options.low_latency, self.options.ended
        whole = done // PARTS if ended or not low_latency else (done - 1) // PARTS
        first = max(0, whole - self.options.window) if self.options.window else 0
        segments = [self._segment(msn, whole, done, first) for msn in range(first, whole)]
        if low_latency and not ended:
            segments.append(self._segment(whole, whole, done, first))
        reports = [
            RenditionReport(f"../{other}/index.m3u8", (done - 1) // PARTS, (done - 1) % PARTS)
            for other in self.names
        ]
        control = ServerControl(low_latency, 3 * PART_US if low_latency else 0, 3 * SEGMENT_US, 6 * SEGMENT_US)
        made = MediaPlaylist(
            target_duration_s=TARGET_S,
            segments=tuple(segments),
            media_sequence=first,
            part_target_us=PART_US if low_latency and not ended else 0,
            server_control=control if not ended else None,
            hint_uri=f"p{done}.m4s" if low_latency and not ended else "",
            reports=tuple(r for r in reports if name not in r.uri) if low_latency and not ended else (),
            ended=ended,
        )
        return self.fault.value(self, name, made) if self.fault.value is not None else made

    def _segment(self, msn: int, whole: int, done: int, first: int) -> Segment:
        parts: tuple[Part, ...] = ()
        if self.options.low_latency and not self.options.ended and msn >= whole - 3:
            count = min(PARTS, done - msn * PARTS)
            parts = tuple(Part(f"p{msn * PARTS + i}.m4s", PART_US, i == 0) for i in range(count))
        finished = msn < whole
        return Segment(
            uri=f"s{msn}.m4s" if finished else "",
            duration_us=SEGMENT_US if finished else None,
            pdt_ms=START_MS + msn * SEGMENT_US // 1000,
            map_uri="i0.mp4" if msn == first else "",
            parts=parts,
        )

    def render(self, name: str, query: str, *, skip: bool) -> str:
        """The text of a media playlist."""
        value = self.playlist(name)
        text = media.render(media.delta(value) if skip else value).decode()
        if name == "audio" and value.part_target_us:
            lines = [f"{line},INDEPENDENT=YES" if _bare_part(line) else line for line in text.split("\n")]
            text = "\n".join(lines)
        if self.options.dateranges:
            text = text.replace("CAN-SKIP-UNTIL=", "CAN-SKIP-DATERANGES=YES,CAN-SKIP-UNTIL=")
            text = text.replace("#EXT-X-PROGRAM-DATE-TIME", f"{DATERANGE}\n#EXT-X-PROGRAM-DATE-TIME", 1)
        return self.fault.text(self, name, text, query) if self.fault.text is not None else text

    def multivariant(self) -> str:
        """The text of the multivariant playlist."""
        codecs = "avc1.64001f,mp4a.40.2"
        low, size = ("low/index.m3u8", (640, 360)) if self.options.two else ("high/index.m3u8?low", (1280, 720))
        value = MultivariantPlaylist(
            (
                Variant("high/index.m3u8", 2_000_000, 500_000, codecs, (1280, 720), 30_000, "audio"),
                Variant(low, 400_000, 200_000, codecs, size, 30_000, "audio"),
            ),
            (AudioRendition("audio/index.m3u8", "audio", "Main"),),
        )
        text = multivariant.render(value).decode()
        if self.options.iframes:
            text += (
                '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100000,CODECS="avc1.64001f",RESOLUTION=1280x720,'
                'URI="iframes/index.m3u8"\n'
            )
        if self.options.steering:
            text += '#EXT-X-CONTENT-STEERING:SERVER-URI="steering.json",PATHWAY-ID="."\n'
        return self.fault.master(text) if self.fault.master is not None else text

    def iframe_playlist(self) -> str:
        """The text of the I-frame playlist."""
        whole = (self.parts_done - 1) // PARTS
        lines = ["#EXTM3U", "#EXT-X-VERSION:6", f"#EXT-X-TARGETDURATION:{TARGET_S}", "#EXT-X-MEDIA-SEQUENCE:0"]
        lines += ["#EXT-X-I-FRAMES-ONLY", '#EXT-X-MAP:URI="../high/i0.mp4"']
        for msn in range(whole):
            lines += [f"#EXTINF:{SEGMENT_US / MICRO},", f"f{msn}.m4s"]
        text = "\n".join([*lines, *(["#EXT-X-ENDLIST"] if self.options.ended else []), ""])
        return self.fault.text(self, "iframes", text, "") if self.fault.text is not None else text

    # -- requests

    async def offers_http2(self, url: str) -> bool:
        return self.options.http2

    async def fetch(self, ask: Ask) -> Exchange:
        """The answer, after it was held."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(ask.timeout_s):
                await asyncio.sleep(LATENCY_S)
                if self.fault.delay_s is not None:
                    await asyncio.sleep(self.fault.delay_s(self, ask.url))
                status, headers, body = await self._answer(ask)
        except TimeoutError:
            exchange = Exchange(ask.url, ask.method, ask.headers, error=f"no answer within {ask.timeout_s:g} s")
        else:
            packed = headers.get("content-encoding", "")
            exchange = Exchange(ask.url, ask.method, ask.headers, status, headers, body, encoding=packed)
        now = loop.time()
        connect_s = 0.0 if self._connected else LATENCY_S
        self._connected = True
        exchange = dataclasses.replace(exchange, began=began, first=now, ended=now, connect_s=connect_s)
        return self.fault.answer(self, ask, exchange) if self.fault.answer is not None else exchange

    async def _answer(self, ask: Ask) -> tuple[int, Headers, bytes]:
        parts = urlsplit(ask.url)
        pieces = parts.path.split("/")[2:]
        if ask.method == "OPTIONS":
            return 204, {**CORS, "access-control-allow-headers": "Range"}, b""
        if pieces == ["index.m3u8"]:
            return self._text(self.multivariant(), "public, max-age=2", ask)
        if pieces == ["steering.json"]:
            return 200, dict(CORS), json.dumps({"VERSION": 1, "TTL": 300, "PATHWAY-PRIORITY": ["."]}).encode()
        if len(pieces) == 2 and pieces[1] == "index.m3u8":
            return await self._media_playlist(pieces[0], parts.query, ask)
        body = await self._media(pieces)
        return self._ranged(body, ask, pieces[0]) if body is not None else error(404)

    async def _media_playlist(self, name: str, query: str, ask: Ask) -> tuple[int, Headers, bytes]:
        if name == "iframes":
            return self._text(self.iframe_playlist(), "public, max-age=0, s-maxage=1", ask)
        if name not in self.names:
            return error(404)
        try:
            asked = parse_directives(query)
        except DirectiveError:
            asked = None
        if self.fault.directives is not None:
            wanted = self.fault.directives(self, query, asked)
            if isinstance(wanted, int):
                return error(wanted)
            asked = wanted
        if asked is None:
            return error(400)
        while isinstance(
            answer := decide(asked, self.position(), ended=self.options.ended, part_target_s=0.5), Wait
        ):
            await self.until_part(self.parts_done)
        if isinstance(answer, Refuse):
            return error(answer.status)
        blocking = "_HLS_msn" in query and not self.options.ended
        cache = f"public, max-age=0, s-maxage={6 * TARGET_S if blocking else 1}"
        return self._text(self.render(name, query, skip=asked.skip), cache, ask)

    def _text(self, text: str, cache: str, ask: Ask) -> tuple[int, Headers, bytes]:
        headers = {**CORS, "content-type": "application/vnd.apple.mpegurl", "cache-control": cache}
        headers["vary"] = "Accept-Encoding"
        if "gzip" in ask.headers.get("Accept-Encoding", ""):
            headers["content-encoding"] = "gzip"
        return 200, headers, text.encode()

    async def _media(self, pieces: list[str]) -> bytes | None:
        name, file = pieces if len(pieces) == 2 else ("", "")
        stem = file[1:].partition(".")[0]
        if name not in (*self.names, "iframes") or not stem.isdigit():
            return None
        number = int(stem)
        if file[0] == "i":
            return self.init(name, number)
        if file[0] == "f":
            sample = self.samples("high", number, 0)[0]
            return fragment(1, number, sample.dts, [sample])
        if file[0] == "s":
            return self.segment(name, number) if (number + 1) * PARTS <= self.parts_done else None
        if number > self.parts_done:
            return None
        await self.until_part(number)
        return self.part(name, number // PARTS, number % PARTS)

    def _ranged(self, body: bytes, ask: Ask, name: str) -> tuple[int, Headers, bytes]:
        kind = "audio/mp4" if name == "audio" else "video/mp4"
        headers = {**CORS, "content-type": kind, "cache-control": "public, max-age=3600, immutable"}
        status = 200
        try:
            span = parse_range(ask.headers.get("Range", ""), len(body))
        except RangeNotSatisfiableError:
            return 416, {**headers, "content-range": f"bytes */{len(body)}"}, b""
        if span is not None:
            status, headers["content-range"] = 206, f"bytes {span[0]}-{span[1] - 1}/{len(body)}"
            body = body[span[0] : span[1]]
        headers["content-length"] = str(len(body))
        return status, headers, b"" if ask.method == "HEAD" else body


CORS: Mapping[str, str] = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Age, Date, Content-Length, Content-Range",
}
DATERANGE = '#EXT-X-DATERANGE:ID="ad",START-DATE="2023-11-14T22:13:22.000Z",DURATION=4.0'


def error(status: int) -> tuple[int, Headers, bytes]:
    """A refusal."""
    return status, {**CORS, "cache-control": "no-store" if status >= 500 else "public, max-age=1"}, b"no"


def avc_config() -> bytes:
    """A decoder configuration: only its first bytes mean something to anybody here."""
    return AvcConfig(0x64, 0, 0x1F, 4, (b"\x67\x64\x00\x1f",), (b"\x68\xee",)).encode()


def _bare_part(line: str) -> bool:
    return line.startswith("#EXT-X-PART:") and "INDEPENDENT" not in line


def changed(exchange: Exchange, **fields: Any) -> Exchange:
    """An exchange with other fields; `headers` are added, those that are None are taken away."""
    headers = fields.pop("headers", None)
    if headers is not None:
        merged = {**exchange.headers, **headers}
        fields["headers"] = {name: value for name, value in merged.items() if value is not None}
    return dataclasses.replace(exchange, **fields)


@functools.cache
def _samples(name: str, msn: int, index: int) -> list[Sample]:
    part = msn * PARTS + index
    made = []
    if name == "audio":
        for number in range(25):
            dts = (part * 25 + number) * 960
            made.append(Sample(dts, 960, 0, True, b"a" * 80 + dts.to_bytes(8, "big")))
    else:
        for number in range(15):
            dts = (part * 15 + number) * 3000
            key = index == 0 and number == 0
            nal = bytes([0x65 if key else 0x41]) + dts.to_bytes(8, "big") + b"v" * (600 if name == "high" else 200)
            made.append(Sample(dts, 3000, 0, key, len(nal).to_bytes(4, "big") + nal))
    return made


@functools.cache
def _part(name: str, msn: int, index: int) -> bytes:
    samples = _samples(name, msn, index)
    return fragment(1, msn * PARTS + index, samples[0].dts, samples)
