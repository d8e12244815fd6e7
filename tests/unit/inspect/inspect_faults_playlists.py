"""Faults of media playlists: syntax, numbers, times, date ranges, low latency, deltas, reports."""

import dataclasses
import re

from inspect_edits import (
    LATER_S,
    answered,
    by_name,
    changed,
    control,
    number,
    replaced,
    segments,
    shared_for,
    value,
)  # fmt: skip
from inspect_origin import BASE, PART_US, START_MS, Fault, Options, Origin

from edge.inspect.http_client import Ask
from edge.inspect.observations import Exchange
from edge.protocols.fmp4 import Sample
from edge.protocols.hls import media
from edge.protocols.hls.media import MediaPlaylist, Part, Segment
from edge.protocols.hls.reload import Directives

CLASSIC = Options(low_latency=False)
SLIDING = Options(window=8)
ENDED = Options(ended=True, iframes=True)
DATED = Options(dateranges=True)
DVR = frozenset({"DVR-15MIN"})


def _dated(segment: Segment) -> Segment:
    """2.6 s of segment 3, and dates that fit it."""
    if not segment.uri or number(segment) > 3:
        return segment
    assert segment.pdt_ms is not None
    duration = 2_600_000 if number(segment) == 3 else segment.duration_us
    return dataclasses.replace(segment, duration_us=duration, pdt_ms=segment.pdt_ms - 600)


def _longer_target(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
    target_s = 3 if origin.elapsed > LATER_S else 2
    return dataclasses.replace(made, target_duration_s=target_s, server_control=control(9, 18))


def _longer_part_target(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
    assert made.server_control is not None
    held = dataclasses.replace(made.server_control, part_hold_back_us=1_800_000)
    target_us = 550_000 if origin.elapsed > LATER_S else PART_US
    return dataclasses.replace(made, part_target_us=target_us, server_control=held)


def _large_part_target(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
    assert made.server_control is not None
    held = dataclasses.replace(made.server_control, part_hold_back_us=1_800_000)
    return dataclasses.replace(made, part_target_us=600_000, server_control=held)


def _without_map(origin: Origin, name: str, text: str, query: str) -> str:
    return re.sub(r"#EXT-X-MAP.*\n", "", text).replace("VERSION:6", "VERSION:3")


def _lost_end(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
    return dataclasses.replace(made, segments=made.segments[:-1]) if origin.elapsed > 2.5 else made


def _earlier(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
    lower = made.media_sequence - 1 if origin.elapsed > 2.5 else made.media_sequence
    return dataclasses.replace(made, media_sequence=lower)


def _newest(origin: Origin, ask: Ask, exchange: Exchange) -> Exchange:
    match = re.search(r"/(\w+)/s777\.m4s", ask.url)
    if match is None:
        return exchange
    body = origin.segment(match[1], origin.parts_done // 4 - 1)
    fields = {"content-length": str(len(body)), "content-type": "video/mp4", "cache-control": "max-age=3600"}
    return dataclasses.replace(exchange, status=200, body=body, headers={**exchange.headers, **fields})


PLAYLISTS = by_name(
    Fault("PL-SYNTAX", text=replaced("^(#EXT-X-VERSION:6)$", r"\1\n\1", "high")),
    Fault("PL-VERSION", text=replaced("VERSION:6", "VERSION:5", "high")),
    Fault("PL-VERSION-HIGH", text=replaced("VERSION:6", "VERSION:10", "high")),
    Fault("PL-TYPE", text=replaced("^(#EXT-X-VERSION.*)$", r"\1\n#EXT-X-PLAYLIST-TYPE:VOD"), options=CLASSIC),
    Fault("PL-MAP", text=_without_map, options=CLASSIC),
    Fault("PL-TD-CONST", value=_longer_target, answer=shared_for(18)),
    Fault("PL-PARTTARGET-CONST", value=_longer_part_target),
    Fault("PL-IMMUTABLE", text=replaced(r"2\.0,\ns5\.m4s", "2.02,\ns5.m4s", "high", after_s=LATER_S)),
    Fault("PL-MSN-MONOTONIC", value=_earlier, options=Options(low_latency=False, window=8), also=DVR, seconds=4),
    Fault("PL-DSN-MONOTONIC", value=value(after_s=LATER_S, discontinuity_sequence=1)),
    Fault("PL-EDGE-MONOTONIC", value=_lost_end, options=CLASSIC, seconds=4),
    Fault("PL-6SEG", options=Options(window=5), also=DVR),
    Fault(
        "PL-3TD",
        value=value(target_duration_s=6, server_control=control(18, 36)),
        answer=shared_for(36),
        options=SLIDING,
        also=DVR,
    ),
    Fault("DVR-15MIN", options=SLIDING),
    Fault(
        "URI-REUSED", text=replaced(r"s1[23]\.m4s", "s777.m4s", "high"), answer=_newest, options=CLASSIC, seconds=5
    ),
    Fault(
        "DISC-SEQUENCE",
        text=replaced(r"^#EXT-X-DISCONTINUITY-SEQUENCE.*\n", ""),
        value=segments(lambda one: dataclasses.replace(one, discontinuity=number(one) == 9)),
    ),
    Fault(
        "START-OFFSET", text=replaced("^(#EXT-X-VERSION.*)$", r"\1\n#EXT-X-START:TIME-OFFSET=-2"), options=CLASSIC
    ),
    Fault("START-LL", text=replaced("^(#EXT-X-VERSION.*)$", r"\1\n#EXT-X-START:TIME-OFFSET=-20", "high")),
    Fault("TD-6", value=value(target_duration_s=7, server_control=control(21, 42)), answer=shared_for(42)),
    Fault("SEG-ROUND-TD", value=segments(_dated, "high")),
    Fault("CADENCE-SEG", options=Options(low_latency=False, stall_at_s=1.0), seconds=6),
    Fault("CADENCE-PART", options=Options(stall_at_s=0.9), seconds=3),
)

_DATE = "^(#EXT-X-DATERANGE:.*)$"

TIMES = by_name(
    Fault("PDT-PRESENT", text=replaced("^#EXT-X-PROGRAM-DATE-TIME.*\n", "")),
    Fault("PDT-EVERY", text=replaced("^#EXT-X-PROGRAM-DATE-TIME.*\n(#EXTINF.*\ns5)", r"\1", "high")),
    Fault(
        "PDT-CONTINUITY",
        value=segments(
            lambda one: dataclasses.replace(one, pdt_ms=(one.pdt_ms or 0) + 80 * (number(one) == 5)), "high"
        ),
    ),
    Fault(
        "PDT-STABLE",
        value=segments(
            lambda one: dataclasses.replace(one, pdt_ms=(one.pdt_ms or 0) + 10), "high", after_s=LATER_S
        ),
    ),
    Fault("DATERANGE-SYNTAX", text=replaced("START-DATE", "START-TIME"), options=DATED),
    Fault(
        "DATERANGE-PDT",
        text=replaced("^#EXT-X-PROGRAM-DATE-TIME.*\n", ""),
        options=Options(ended=True, iframes=True, dateranges=True),
    ),
    Fault("DATERANGE-END", text=replaced(_DATE, r'\1,END-DATE="2023-11-14T22:13:23.000Z"'), options=DATED),
    Fault("DATERANGE-IMMUTABLE", text=replaced("DURATION=4.0$", "DURATION=5.0", after_s=LATER_S), options=DATED),
    Fault("DATERANGE-KEPT", text=replaced("^#EXT-X-DATERANGE.*\n", "", after_s=LATER_S), options=DATED),
    Fault("DATERANGE-INTERSTITIAL", text=replaced(_DATE, r'\1,CLASS="com.apple.hls.interstitial"'), options=DATED),
    Fault("DATERANGE-SCTE35", text=replaced(_DATE, r"\1,SCTE35-OUT=FC30"), options=DATED),
)


def _all_parts(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
    def with_parts(segment: Segment) -> Segment:
        first = 4 * number(segment)
        parts = tuple(Part(f"p{first + index}.m4s", PART_US, index == 0) for index in range(4))
        return dataclasses.replace(segment, parts=segment.parts or parts)

    return segments(with_parts)(origin, name, made)


def _early_line(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
    last = made.segments[-1]
    if last.uri or len(last.parts) < 4:
        return made
    whole = dataclasses.replace(last, uri=f"s{number(last)}.m4s", duration_us=2_000_000)
    return dataclasses.replace(made, segments=(*made.segments[:-1], whole))


def _whole_segments(origin: Origin, query: str, asked: Directives | None) -> Directives | int | None:
    """For playlists that list no parts: who asks for the first part of a segment waits for all of it."""
    if asked is not None and asked.part == 0 and asked.msn == origin.position().msn:
        return dataclasses.replace(asked, part=None)
    return asked


def _short_skip(origin: Origin, name: str, text: str, query: str) -> str:
    if "#EXT-X-SKIP" not in text:
        return text
    full = origin.playlist(name)
    kept = dataclasses.replace(full, version=9, skipped=len(full.segments) - 3, segments=full.segments[-3:])
    made = media.render(kept).decode()
    return (
        re.sub(r"^(#EXT-X-PART:[^I]*)$", r"\1,INDEPENDENT=YES", made, flags=re.MULTILINE)
        if name == "audio"
        else made
    )


def _unasked(origin: Origin, name: str, text: str, query: str) -> str:
    if name != "high" or origin.elapsed < LATER_S or not query.startswith("_HLS_msn"):
        return text
    return media.render(media.delta(origin.playlist(name))).decode()


LOW_LATENCY = by_name(
    Fault("LL-SERVER-CONTROL", text=replaced("PART-HOLD-BACK=[0-9.]+,", "")),
    Fault("LL-CAN-BLOCK", text=replaced("CAN-BLOCK-RELOAD=YES,", "")),
    Fault("LL-PHB-3", text=replaced("PART-HOLD-BACK=1.5", "PART-HOLD-BACK=1.25")),
    Fault("LL-NO-PARTS", text=replaced(r"^#EXT-X-PART:.*\n", ""), directives=_whole_segments),
    Fault("HB-3TD", text=replaced(",HOLD-BACK=6.0", ",HOLD-BACK=5.5")),
    Fault("HB-EXPLICIT", text=replaced(",HOLD-BACK=6.0", "")),
    Fault("SKIP-6TD", text=replaced("SKIP-UNTIL=12.0", "SKIP-UNTIL=11.0")),
    Fault("PART-LE-TARGET", text=replaced('DURATION=0.5,URI="p41', 'DURATION=0.52,URI="p41', "high")),
    Fault("PART-85", value=_large_part_target),
    Fault("PART-NO-BYTERANGE", text=replaced('"p41.m4s"', '"p41.m4s",BYTERANGE="100@0"', "high")),
    Fault("PART-REMOVED-3TD", value=_all_parts),
    Fault("PART-TARGET-RTT", answer=lambda origin, ask, exchange: dataclasses.replace(exchange, connect_s=0.8)),
    Fault("LATE-EXTINF", value=_early_line),
    Fault("LL-HINT-PRESENT", text=replaced("^#EXT-X-PRELOAD-HINT.*\n", "", "high")),
    Fault(
        "HINT-ENDED",
        text=replaced("^(#EXT-X-ENDLIST)", r'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p99.m4s"\n\1', "high"),
        options=ENDED,
    ),
    Fault("HINT-BECOMES-PART", text=replaced(r'(HINT:TYPE=PART,URI="p)', r"\g<1>1000", "high")),
    Fault("HINT-GET", answer=answered(r"/high/p\d+\.m4s", where=lambda _, one: one.took > 0.1, status=404)),
    Fault(
        "HINT-FULL-SPEED",
        answer=lambda origin, ask, one: (
            dataclasses.replace(one, first=one.ended - 0.3) if "/p" in ask.url and one.took > 0.35 else one
        ),
    ),
    Fault(
        "HINT-LENGTH",
        answer=lambda _, ask, one: (
            changed(one, headers={"content-length": None}) if "/p" in ask.url and one.took > 0.1 else one
        ),
    ),
    Fault("HINT-UNKNOWN", answer=answered(r"/p\d+-nearcast-absent", status=200)),
    Fault(
        "DELTA-OFFERED",
        text=replaced(",CAN-SKIP-UNTIL=12.0", ""),
        options=Options(age_s=130.0),
    ),
    Fault("DELTA-DATERANGES", text=replaced("CAN-SKIP-DATERANGES=YES,", ""), options=DATED),
    Fault("DELTA-UNASKED", text=_unasked),
    Fault(
        "DELTA-ANSWERED",
        directives=lambda _, query, asked: dataclasses.replace(asked, skip=False) if asked is not None else None,
    ),
    Fault(
        "DELTA-EQUIV",
        text=lambda _, name, text, query: text.replace("2.0,\ns9.", "2.01,\ns9.") if "skip" in query else text,
    ),
    Fault("DELTA-BOUNDARY", text=_short_skip),
    Fault("REPORT-PRESENT", text=replaced("^#EXT-X-RENDITION-REPORT.*audio.*\n", "", "high")),
    Fault("REPORT-URI", text=replaced(r'REPORT:URI="\.\./', 'REPORT:URI="/live/', "high")),
    Fault("REPORT-LAST", text=replaced(",LAST-PART=[0-9]+", "", "high")),
    Fault("REPORT-FRESH", text=replaced("LAST-PART=3", "LAST-PART=4", "high")),
)


def _is_plain(query: str) -> bool:
    return re.fullmatch(r"_HLS_msn=\d+&_HLS_part=\d+", query) is not None


def _never_held(origin: Origin, query: str, asked: Directives | None) -> Directives | int | None:
    if asked is None or asked.msn is None or not _is_plain(query):
        return asked
    return asked if asked.msn > origin.position().msn + 1 or (asked.part or 0) > 9 else Directives()


def _old_refused(origin: Origin, query: str, asked: Directives | None) -> Directives | int | None:
    old = asked is not None and asked.msn is not None and asked.msn + 3 < origin.position().msn
    return 400 if old else asked


def _past_refused(origin: Origin, query: str, asked: Directives | None) -> Directives | int | None:
    past = asked is not None and asked.part == 4 and (asked.msn or 0) < origin.position().msn and _is_plain(query)
    return 400 if past else asked


RELOAD = by_name(
    Fault("BLOCK-HAS-TARGET", directives=_never_held),
    Fault(
        "BLOCK-STATUS",
        directives=lambda origin, query, asked: 404 if _is_plain(query) and origin.elapsed > LATER_S else asked,
    ),
    Fault(
        "BLOCK-TIMEOUT",
        delay_s=lambda origin, url: 20.0 if _is_plain(url.partition("?")[2]) and origin.elapsed > LATER_S else 0.0,
        seconds=10.5,
    ),
    Fault("BLOCK-STALE", directives=_old_refused),
    Fault(
        "BLOCK-PART-ALONE",
        directives=lambda _, query, asked: (
            Directives() if query.startswith("_HLS_part=0") and asked is None else asked
        ),
    ),
    Fault("BLOCK-NOT-INTEGER", directives=lambda _, query, asked: Directives() if "first" in query else asked),
    Fault(
        "BLOCK-FAR",
        directives=lambda origin, _, asked: (
            Directives() if asked and asked.msn is not None and asked.msn > origin.position().msn + 2 else asked
        ),
    ),
    Fault("BLOCK-PAST-LAST", directives=_past_refused),
    Fault(
        "BLOCK-ORDER",
        directives=lambda _, query, asked: 400 if re.match("_HLS_part=.*_HLS_msn", query) else asked,
    ),
    Fault("BLOCK-UNKNOWN-PARAM", directives=lambda _, query, asked: 400 if "nearcast" in query else asked),
    Fault("BLOCK-ENDED", directives=lambda _, query, asked: 400 if "_HLS_msn" in query else asked, options=ENDED),
)


def _later_sound(name: str, msn: int, index: int, samples: list[Sample]) -> list[Sample]:
    return [one.replace(dts=one.dts + 14_400) for one in samples] if name == "audio" else samples


def _shorter(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
    return dataclasses.replace(made, segments=made.segments[:-2]) if name == "audio" else made


def _own_target(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
    return dataclasses.replace(made, target_duration_s=3 if name == "audio" else 2, server_control=control(9, 18))


ACROSS = by_name(
    Fault("X-ALIGNED-TD", value=_own_target, answer=shared_for(18)),
    Fault("X-ALIGNED-SEG", samples=_later_sound),
    Fault("X-DISC-ALIGNED", value=value("audio", discontinuity_sequence=1)),
    Fault("X-SERVER-CONTROL", text=replaced(",HOLD-BACK=6.0", ",HOLD-BACK=7.0", "audio")),
    Fault(
        "X-PDT-CONSISTENT",
        value=segments(lambda one: dataclasses.replace(one, pdt_ms=(one.pdt_ms or START_MS) + 500), "audio"),
    ),
    Fault(
        "X-PARTS-EVERYWHERE",
        text=replaced("^#EXT-X-(PART|PART-INF|PRELOAD-HINT|RENDITION-REPORT):.*\n", "", "audio"),
    ),
    Fault(
        "X-PART-SKEW",
        answer=lambda _, ask, one: (
            dataclasses.replace(one, ended=one.ended + 0.8)
            if ask.url.endswith("audio/index.m3u8") or ("/audio/index" in ask.url and one.took > 0.05)
            else one
        ),
    ),
    Fault(
        "X-PLAYLIST-TYPE",
        text=replaced("^(#EXT-X-VERSION.*)$", r"\1\n#EXT-X-PLAYLIST-TYPE:VOD", "audio"),
        options=ENDED,
    ),
    Fault(
        "X-DATERANGE-SAME",
        text=replaced('ID="ad"', 'ID="other"', "audio"),
        options=DATED,
    ),
    Fault("X-VOD-RANGE", value=_shorter, options=ENDED),
)

DIRECT = BASE + "high/index.m3u8"
