"""Every requirement that is checked: its name, level, clause and one sentence. Names are stable and public."""

import enum

import msgspec


class Level(enum.Enum):
    """MUST: of RFC 8216bis or Apple's authoring specification. PLAYER: a real player fails without it."""

    MUST = "MUST"
    PLAYER = "PLAYER"
    SHOULD = "SHOULD"


class Requirement(msgspec.Struct, frozen=True):
    """A requirement. `clause` names 8216bis by section, Apple's authoring specification as [A n.n]."""

    name: str
    level: Level
    clause: str
    sentence: str


M, P, S = Level.MUST, Level.PLAYER, Level.SHOULD

_PLAYLISTS = (
    (
        "PL-SYNTAX",
        M,
        "4.1, 4.4",
        "Playlists are UTF-8, begin with #EXTM3U; tags are well-formed, in order, and once.",
    ),
    ("PL-VERSION", M, "8", "EXT-X-VERSION is at least what the tags used need."),
    ("PL-VERSION-HIGH", S, "6.2.1", "EXT-X-VERSION is not higher than what the tags used need."),
    ("PL-TYPE", M, "6.2.1, 6.2.2", "EXT-X-PLAYLIST-TYPE is true: none on what slides, VOD with ENDLIST."),
    ("PL-MAP", M, "4.4.4.5", "fMP4 segments have an EXT-X-MAP."),
    ("PL-TD-CONST", M, "6.2.1", "EXT-X-TARGETDURATION never changes."),
    ("PL-PARTTARGET-CONST", P, "4.4.3.7", "PART-TARGET never changes."),
    ("PL-IMMUTABLE", M, "6.2.1", "What a playlist lists of a segment or part never changes."),
    ("PL-MSN-MONOTONIC", M, "6.2.2", "EXT-X-MEDIA-SEQUENCE never decreases."),
    ("PL-DSN-MONOTONIC", M, "6.2.2", "EXT-X-DISCONTINUITY-SEQUENCE counts the discontinuities that were removed."),
    ("PL-EDGE-MONOTONIC", M, "6.2.1", "The end of a playlist never goes back."),
    ("PL-6SEG", M, "[A 8.11]", "A live playlist from which segments were removed lists at least six."),
    (
        "PL-3TD",
        M,
        "6.2.2",
        "A live playlist from which segments were removed lasts at least three target durations.",
    ),
    ("DVR-15MIN", S, "[A 8.12]", "A live playlist goes back fifteen minutes."),
    ("URI-REUSED", P, "6.2.1", "The URI of a part or segment never means another part or segment."),
    ("DISC-SEQUENCE", M, "6.2.2, [A 8.17]", "A playlist with discontinuities has EXT-X-DISCONTINUITY-SEQUENCE."),
    (
        "START-OFFSET",
        S,
        "4.4.2.2",
        "EXT-X-START of a live playlist is not within three target durations of its end.",
    ),
    ("START-LL", P, "4.4.2.2", "A low-latency playlist has no EXT-X-START: players heed it before PART-HOLD-BACK."),
    ("TD-6", S, "[A 7.5]", "The target duration is at most 6 s."),
    ("SEG-ROUND-TD", M, "4.4.3.1", "EXTINF, rounded, is at most the target duration."),
    ("CADENCE-SEG", M, "6.2.1", "A segment is added at most 1.5 target durations after the one before."),
    (
        "CADENCE-PART",
        M,
        "6.2.1",
        "A part is added within one PART-TARGET after the one before (network allowed for).",
    ),
)

_TIMES = (
    ("PDT-PRESENT", M, "[A 8.4]", "A live playlist has EXT-X-PROGRAM-DATE-TIME."),
    ("PDT-EVERY", S, "4.4.4.6", "Every segment of a live playlist has its EXT-X-PROGRAM-DATE-TIME."),
    ("PDT-CONTINUITY", P, "6.2.1", "Dates advance by EXTINF, but at a discontinuity (60 ms of tolerance)."),
    ("PDT-STABLE", M, "6.2.1", "The date of a segment never changes."),
    ("DATERANGE-SYNTAX", M, "4.4.5.1", "EXT-X-DATERANGE has ID, START-DATE, and values that can be read."),
    ("DATERANGE-PDT", M, "4.4.5.1", "A playlist with EXT-X-DATERANGE has EXT-X-PROGRAM-DATE-TIME."),
    ("DATERANGE-END", M, "4.4.5.1", "END-DATE is not before START-DATE and equals START-DATE + DURATION."),
    (
        "DATERANGE-IMMUTABLE",
        M,
        "6.2.1",
        "Attributes of a date range are added, never changed; no ID is used again.",
    ),
    ("DATERANGE-KEPT", M, "6.2.1", "A date range stays while a listed segment lies in it."),
    (
        "DATERANGE-INTERSTITIAL",
        M,
        "Appendix D",
        "An interstitial has one of X-ASSET-URI and X-ASSET-LIST; offsets are numbers.",
    ),
    ("DATERANGE-SCTE35", M, "4.4.5.1", "SCTE35-CMD, -OUT and -IN are hexadecimal sequences."),
)

_LOW_LATENCY = (
    ("LL-SERVER-CONTROL", M, "4.4.3.8", "A playlist with parts has EXT-X-SERVER-CONTROL with PART-HOLD-BACK."),
    ("LL-CAN-BLOCK", M, "Appendix B.1", "A playlist with parts has CAN-BLOCK-RELOAD=YES."),
    ("LL-PHB-3", M, "4.4.3.8, [A 14.3]", "PART-HOLD-BACK is at least three times PART-TARGET."),
    ("LL-NO-PARTS", P, "4.4.4.9", "A live playlist with EXT-X-PART-INF lists parts."),
    ("HB-3TD", M, "4.4.3.8", "HOLD-BACK is at least three target durations."),
    ("HB-EXPLICIT", S, "4.4.3.8", "HOLD-BACK is written explicitly."),
    ("SKIP-6TD", M, "4.4.3.8", "CAN-SKIP-UNTIL is at least six target durations."),
    ("PART-LE-TARGET", M, "4.4.4.9", "No part is longer than PART-TARGET."),
    (
        "PART-85",
        M,
        "4.4.4.9",
        "A part lasts 85 % of PART-TARGET, but if independent, last of a segment, or at a gap.",
    ),
    ("PART-NO-BYTERANGE", P, "4.4.4.9", "Parts have URIs of their own, no BYTERANGE."),
    ("PART-REMOVED-3TD", S, "6.2.2", "Parts are removed when they are three target durations from the end."),
    ("PART-TARGET-RTT", M, "[A 14.2]", "PART-TARGET is at least the round-trip time."),
    ("LATE-EXTINF", S, "6.2.5.2", "The line of a segment comes together with the first part of the next."),
    ("LL-HINT-PRESENT", P, "4.4.5.3", "A live low-latency playlist has exactly one EXT-X-PRELOAD-HINT of a part."),
    ("HINT-ENDED", M, "4.4.5.3", "A playlist with EXT-X-ENDLIST has no preload hint."),
    ("HINT-BECOMES-PART", P, "6.2.6", "The next part has exactly the hinted URI."),
    ("HINT-GET", M, "6.2.6", "A request for the hinted part is held and answered with it."),
    ("HINT-FULL-SPEED", M, "6.2.6", "No byte of a part is sent before all of it can be sent at full speed."),
    ("HINT-LENGTH", S, "6.2.6", "The answer for a hinted part has a Content-Length."),
    ("HINT-UNKNOWN", S, "6.2.6", "A part that is neither known nor hinted is 404 at once."),
    ("DELTA-OFFERED", S, "[A 14.4]", "A low-latency playlist of more than two minutes offers delta updates."),
    ("DELTA-DATERANGES", S, "[A 14.5]", "Where deltas are offered and date ranges used, CAN-SKIP-DATERANGES=YES."),
    ("DELTA-UNASKED", M, "6.2.5.1", "EXT-X-SKIP stands only where it was asked for and offered."),
    (
        "DELTA-ANSWERED",
        M,
        "6.2.5.1",
        "_HLS_skip=YES is answered with a delta where segments are beyond the boundary.",
    ),
    ("DELTA-EQUIV", M, "6.2.5.1", "A delta update merged with what it skips equals the full playlist."),
    ("DELTA-BOUNDARY", M, "6.2.5.1", "Only segments further from the end than the skip boundary are skipped."),
    (
        "REPORT-PRESENT",
        M,
        "Appendix B.1",
        "A low-latency playlist has one EXT-X-RENDITION-REPORT for each other playlist.",
    ),
    ("REPORT-URI", M, "4.4.5.4", "URIs of rendition reports are relative."),
    ("REPORT-LAST", P, "4.4.5.4", "Rendition reports have LAST-MSN and LAST-PART, though they might be left out."),
    ("REPORT-FRESH", M, "4.4.5.4", "What a rendition report says is there: asked for, it is answered at once."),
)

_RELOAD = (
    (
        "BLOCK-HAS-TARGET",
        M,
        "6.2.5.2",
        "The answer to a blocking reload has the segment or part that was asked for.",
    ),
    ("BLOCK-STATUS", P, "6.2.5.2", "A blocking reload is answered with 200, 400 or 503, never 404 or another 5xx."),
    ("BLOCK-TIMEOUT", M, "6.2.5.2", "A blocking reload is answered within three target durations."),
    ("BLOCK-STALE", M, "6.2.5.2", "An _HLS_msn that is no longer listed is answered at once with the playlist."),
    ("BLOCK-PART-ALONE", M, "6.2.5.2", "_HLS_part without _HLS_msn is 400."),
    ("BLOCK-NOT-INTEGER", M, "6.2.5.2", "_HLS_msn that is no integer is 400."),
    ("BLOCK-FAR", S, "6.2.5.2", "An _HLS_msn or _HLS_part too far ahead is 400 at once."),
    ("BLOCK-PAST-LAST", M, "6.2.5.2", "A part behind the last one of a segment means the first of the next."),
    ("BLOCK-ORDER", M, "6.2.5", "Delivery directives are taken in any order."),
    ("BLOCK-UNKNOWN-PARAM", P, "6.2.5", "Query parameters that are not known are ignored."),
    ("BLOCK-ENDED", M, "6.2.5.2", "After EXT-X-ENDLIST delivery directives are ignored."),
)

_ACROSS = (
    ("X-ALIGNED-TD", M, "6.2.4", "All renditions have the same target duration."),
    ("X-ALIGNED-SEG", M, "6.2.4", "Segments of the same number begin at the same time in all renditions."),
    (
        "X-DISC-ALIGNED",
        M,
        "6.2.4, [A 8.15]",
        "The same segments have the same discontinuity sequence in all renditions.",
    ),
    ("X-SERVER-CONTROL", M, "6.2.4", "EXT-X-SERVER-CONTROL is the same in all renditions."),
    ("X-PDT-CONSISTENT", M, "6.2.4", "All renditions have dates or none, and map them to media times alike."),
    ("X-PARTS-EVERYWHERE", P, "4.4.4.9", "All renditions have parts or none."),
    ("X-PART-SKEW", S, "Appendix B.1", "The same part of all renditions comes within one part duration."),
    ("X-PLAYLIST-TYPE", M, "6.2.4", "All renditions have the same EXT-X-PLAYLIST-TYPE."),
    ("X-DATERANGE-SAME", M, "6.2.4", "All renditions that carry date ranges carry the same."),
    ("X-VOD-RANGE", M, "6.2.4, [A 8.7]", "All renditions of a VOD begin and end together."),
)

_MULTIVARIANT = (
    ("MV-SYNTAX", M, "4.4.6", "The multivariant playlist is well-formed."),
    ("MV-BANDWIDTH", M, "4.4.6.2", "Every variant has BANDWIDTH."),
    ("MV-PEAK", M, "4.4.6.2, [A 1.29]", "The peak segment bit rate is at most 125 % of BANDWIDTH."),
    ("MV-AVERAGE-BANDWIDTH", S, "[A 9.14]", "Every variant has AVERAGE-BANDWIDTH, not above BANDWIDTH."),
    ("MV-CODECS", M, "[A 9.1]", "Every variant has CODECS."),
    ("MV-CODECS-TRUE", M, "6.2.4", "CODECS names every format of the initialisation segments, as their bytes say."),
    ("MV-RESOLUTION", M, "[A 9.2]", "Every variant with video has RESOLUTION."),
    ("MV-RESOLUTION-TRUE", S, "4.4.6.2", "RESOLUTION is the size of the pictures."),
    ("MV-FRAME-RATE", M, "[A 9.15]", "Every variant with video has FRAME-RATE, with three decimals, at most 60."),
    ("MV-CLOSED-CAPTIONS", M, "4.4.6.2", "CLOSED-CAPTIONS=NONE stands on every variant or on none."),
    ("MV-SCORE", M, "4.4.6.2", "SCORE stands on every variant or on none."),
    ("MV-STABLE-ID", M, "4.4.6.2", "STABLE-VARIANT-ID has only the characters that it may have."),
    ("MV-VIDEO-RANGE", M, "4.4.6.2", "VIDEO-RANGE stands on every variant that is not SDR."),
    ("MV-INDEPENDENT", M, "[A 9.11]", "The multivariant playlist has EXT-X-INDEPENDENT-SEGMENTS."),
    ("MV-GROUPS", M, "4.4.6.2", "Groups that variants name exist."),
    ("MV-MEDIA", M, "4.4.6.1", "EXT-X-MEDIA has TYPE, GROUP-ID and its own NAME; DEFAULT=YES has AUTOSELECT=YES."),
    ("MV-LANGUAGE", S, "[A 8.10]", "Audio renditions have LANGUAGE."),
    ("MV-CHANNELS", S, "4.4.6.1", "Audio renditions have CHANNELS."),
    ("MV-AUDIO-SEPARATE", S, "[A 9.5, 8.9]", "Audio is a rendition of its own, not muxed with the pictures."),
    ("MV-SEVERAL", S, "[A 9.9]", "There are several variants of video."),
    ("MV-ASPECT", S, "[A 1.33]", "All variants have the same aspect ratio."),
    ("MV-FIRST", S, "[A 1.32]", "The first variant is the one nearest to 2 Mbit/s."),
    ("MV-AVC3", S, "[A 1.10]", "H.264 is avc1, its parameter sets in the initialisation segment."),
    ("MV-PLAYLIST-200", M, "4.4.6", "Every playlist that is named can be had."),
    (
        "IFRAME-ATTRIBUTES",
        M,
        "4.4.6.3, [A 9.1]",
        "EXT-X-I-FRAME-STREAM-INF has URI, BANDWIDTH, CODECS and RESOLUTION.",
    ),
    ("IFRAME-ONLY", M, "4.4.3.6", "Its playlist has EXT-X-I-FRAMES-ONLY, an EXT-X-MAP and no parts."),
    ("IFRAME-TD", M, "6.2.4", "Its target duration is that of the other playlists."),
    ("IFRAME-MEDIA", M, "4.4.3.6, [A 6.10]", "Each of its segments is one I-frame with its moof."),
    ("IFRAME-BLOCK", S, "6.2.5.2", "It takes _HLS_msn where the other playlists do."),
    ("IFRAME-PRESENT", S, "[A 6.1]", "A presentation on demand has I-frame playlists."),
    ("STEERING", M, "4.4.6.6, 7.1", "Content steering has SERVER-URI, a readable manifest, and equal pathways."),
)

_HTTP = (
    ("HTTP-TYPE-PLAYLIST", M, "4", "Playlists are application/vnd.apple.mpegurl or audio/mpegurl."),
    ("HTTP-TYPE-MEDIA", S, "[A 10]", "Parts, segments and initialisation segments have the type of their media."),
    ("HTTP-CACHE-MULTIVARIANT", S, "[A 10]", "The multivariant playlist may be cached for a short time."),
    (
        "HTTP-CACHE-PLAYLIST",
        S,
        "[A 10]",
        "A plain live media playlist may be shared, for at most one target duration.",
    ),
    (
        "CACHE-BLOCKING",
        S,
        "6.2.5.2",
        "Shared caches may keep the answer to a blocking reload for six target durations.",
    ),
    ("CACHE-BROWSER", P, "6.2.5.2", "Browsers may not keep the answer to a blocking reload: video.js freezes."),
    ("HTTP-CACHE-MEDIA", S, "[A 10]", "Parts and segments may be cached for at least six target durations."),
    ("HTTP-CACHE-ERROR", S, "[A 10]", "Errors are not kept for more than a target duration."),
    ("HTTP-GZIP", M, "6.2.1, [A 10.1]", "Playlists are sent with gzip to whoever accepts it."),
    ("HTTP-VARY", S, "RFC 9110, 12.5.5", "What is sent with gzip says Vary: Accept-Encoding."),
    ("HTTP-GZIP-UNASKED", M, "RFC 9110, 12.5.3", "Nothing is compressed for who does not accept it."),
    ("HTTP-GZIP-MEDIA", S, "6.2.1", "Media is not compressed."),
    ("HTTP-LENGTH", S, "RFC 9110, 8.6", "Media has a Content-Length."),
    ("HTTP-RANGE", S, "RFC 9110, 14", "A range of media is answered with 206 and these bytes."),
    ("HTTP-RANGE-416", S, "RFC 9110, 14", "A range behind the end is 416 with the size."),
    ("HTTP-HEAD", S, "RFC 9110, 9.3.2", "HEAD is answered as GET, without the body."),
    ("HTTP-404", M, "6.2.1", "A segment that there is not is 404."),
    ("HTTP-NO-REDIRECT", M, "[A 8.18]", "Media is not redirected."),
    ("HTTP-KEEP-ALIVE", S, "RFC 9112, 9.3", "Connections are kept open for the next request."),
    ("HTTP-2", P, "Appendix B.1", "A low-latency presentation on TLS offers HTTP/2."),
    ("CORS", P, "Fetch, 3.2", "Every answer has Access-Control-Allow-Origin."),
    ("CORS-ERRORS", P, "Fetch, 3.2", "Errors have Access-Control-Allow-Origin as well."),
    ("CORS-PREFLIGHT", S, "Fetch, 3.2", "A preflight request for Range is allowed."),
    ("CORS-EXPOSE", S, "Fetch, 3.2", "Expose-Headers names Age, Date, Content-Length and Content-Range."),
)

_MEDIA = (
    (
        "SEG-200",
        M,
        "6.2.1, 6.2.2",
        "A listed segment or part can be had at once, and as long as it must be available.",
    ),
    ("PART-RETENTION", M, "6.2.2", "A part can be had for three target durations after its tag was removed."),
    ("SEG-READABLE", M, "3.1", "Segments, parts and initialisation segments can be read as what they are."),
    ("SEG-TD+0.5", M, "[A 7.7]", "The media of a segment is at most 0.5 s longer than the target duration."),
    ("EXTINF-TRUE", M, "4.4.4.1, [A 8.1]", "EXTINF is what the samples last, within one frame."),
    ("PART-TRUE", M, "4.4.4.9", "DURATION of a part is what its samples last, within one frame."),
    ("SEG-IDR", M, "[A 7.4]", "Every segment with video starts with an IDR picture."),
    ("IDR-2S", S, "[A 1.13]", "Key frames are at most two seconds apart."),
    ("SEG-EQ-PARTS", M, "4.4.4.9", "A segment has exactly the samples of its parts."),
    ("SEG-ALL-TRACKS", P, "3.1", "Every track of the initialisation segment has samples in every segment."),
    ("SEG-CONTIGUOUS", M, "6.2.1", "Decode times go on where the segment before ended, but at a discontinuity."),
    (
        "SEG-CMAF",
        S,
        "3.1.2",
        "Decode times have 64 bits, data offsets count from the moof, there are no edit lists.",
    ),
    ("PART-INDEPENDENT-TRUE", M, "4.4.4.9", "A part with INDEPENDENT=YES has a key frame."),
    (
        "PART-INDEPENDENT-FIRST",
        P,
        "4.4.4.9",
        "INDEPENDENT=YES stands exactly on the parts that begin with a key frame.",
    ),
    ("MAP-IMMUTABLE", M, "6.2.1", "The URI of an initialisation segment always means the same bytes."),
    ("DISC-MISSING", M, "4.4.4.3", "A change of codec, size, rate or tracks has its EXT-X-DISCONTINUITY."),
)

CATALOGUE: dict[str, Requirement] = {
    row[0]: Requirement(*row)
    for table in (_PLAYLISTS, _TIMES, _LOW_LATENCY, _RELOAD, _ACROSS, _MULTIVARIANT, _HTTP, _MEDIA)
    for row in table
}


def table() -> str:
    """The catalogue as lines of text."""
    name, clause = (max(len(getattr(one, field)) for one in CATALOGUE.values()) for field in ("name", "clause"))
    return "\n".join(
        f"{one.name:<{name}}  {one.level.value:<6}  {one.clause:<{clause}}  {one.sentence}"
        for one in CATALOGUE.values()
    )
