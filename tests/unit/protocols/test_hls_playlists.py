"""Playlists as values: the rules of ll-hls 1.1 and 1.2 that a single playlist can show, by name."""

import contextlib
import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.media.segmenter import Segmenter
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample
from edge.protocols.hls import media_parser, multivariant
from edge.protocols.hls.errors import PlaylistError
from edge.protocols.hls.media import (
    DateRange,
    MediaPlaylist,
    Part,
    RenditionReport,
    Segment,
    ServerControl,
    delta,
    length_us,
    merge,
    render,
)
from edge.protocols.hls.multivariant import AudioRendition, MultivariantPlaylist, Variant

S = 1_000_000
PDT = 1_700_000_000_000
CONTROL = ServerControl(True, 1_050_000, 6 * S, 12 * S)


def live(count=12, **changes):
    """`count` finished segments of 2 s, parts on the last three, and one in progress."""
    segments = [
        Segment(
            f"s{msn}.m4s",
            2 * S,
            PDT + 2000 * msn,
            map_uri="i0.mp4" if msn == 40 else "",
            parts=parts(msn) if msn >= 40 + count - 3 else (),
        )
        for msn in range(40, 40 + count)
    ]
    segments.append(Segment("", None, PDT + 2000 * (40 + count), parts=parts(40 + count)[:2]))
    fields = {
        "target_duration_s": 2,
        "segments": tuple(segments),
        "media_sequence": 40,
        "discontinuity_sequence": 3,
        "part_target_us": 350_000,
        "server_control": CONTROL,
        "hint_uri": f"p{(40 + count) * 6 + 2}.m4s",
        "reports": (RenditionReport("../audio/index.m3u8", 40 + count, 1),),
    }
    return MediaPlaylist(**(fields | changes))


def parts(msn):
    return tuple(Part(f"p{msn * 6 + index}.m4s", 333_333, index == 0) for index in range(6))


def lines(playlist):
    return render(playlist).decode().split("\n")


def at(found, start):
    return [index for index, line in enumerate(found) if line.startswith(start)]


def pl_syntax():
    found = lines(live())
    assert found[0] == "#EXTM3U"
    first = min(at(found, "#EXTINF") + at(found, "#EXT-X-PART:") + at(found, "#EXT-X-MAP"))
    for tag in (
        "VERSION",
        "TARGETDURATION",
        "MEDIA-SEQUENCE",
        "DISCONTINUITY-SEQUENCE",
        "SERVER-CONTROL",
        "PART-INF",
    ):
        (index,) = at(found, f"#EXT-X-{tag}:")
        assert index < first


def segment_tags_before_parts():
    segment = dataclasses.replace(live().segments[-1], discontinuity=True, map_uri="i1.mp4")
    found = lines(live(segments=(segment,)))
    first_part = at(found, "#EXT-X-PART:")[0]
    for tag in ("#EXT-X-DISCONTINUITY", "#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME"):
        assert max(at(found, tag)[-1:]) < first_part


def pl_version():
    assert "#EXT-X-VERSION:6" in lines(live())
    assert "#EXT-X-VERSION:9" in lines(delta(live()))


def seg_round_td():
    """However far key frames are apart, and where pictures were left out before the end of a segment."""
    target_s, step = 4, 3_000
    for left_out in range(0, 60, 3):
        config = SegmenterConfig(
            timescale=90_000,
            part_target=31_500,
            segment_target=180_000,
            max_segment=target_s * 90_000,
            contiguous=True,
        )
        segmenter, lengths = Segmenter(config), dict[int, int]()
        for index in range(600):
            if not 80 < index <= 80 + left_out:
                for chunk in segmenter.push(Sample(index * step, step, 0, index == 0, b"x"), pdt_us=0):
                    lengths[chunk.msn] = lengths.get(chunk.msn, 0) + chunk.duration
        assert len(lengths) > 4
        assert max((length + 45_000) // 90_000 for length in lengths.values()) == target_s


def pdt_present():
    found = lines(live())
    assert len(at(found, "#EXT-X-PROGRAM-DATE-TIME:")) == 13
    assert "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:14:40.000Z" in found


def no_playlist_type():
    assert not at(lines(live()), "#EXT-X-PLAYLIST-TYPE")


def discontinuity_sequence_always():
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:0" in lines(live(discontinuity_sequence=0))


def ll_server_control():
    control = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.05,HOLD-BACK=6.0,CAN-SKIP-UNTIL=12.0"
    assert control in lines(live())


def part_inf():
    assert "#EXT-X-PART-INF:PART-TARGET=0.35" in lines(live())


def part_independent():
    found = lines(live())
    marked = [line for line in found if line.endswith("INDEPENDENT=YES")]
    assert len(marked) == 4
    assert marked[0] == '#EXT-X-PART:DURATION=0.333333,URI="p294.m4s",INDEPENDENT=YES'


def hint_present():
    found = lines(live())
    assert found[at(found, "#EXT-X-PRELOAD-HINT")[0]] == '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p314.m4s"'
    assert not at(found, "#EXT-X-ENDLIST")


def no_byterange():
    assert not [line for line in lines(live()) if "BYTERANGE" in line]


def gap_tag():
    gap = Segment("s9.m4s", 2 * S, PDT, gap=True)
    found = lines(live(segments=(gap,)))
    assert at(found, "#EXT-X-GAP")[0] < at(found, "#EXTINF")[0]


def rendition_report():
    assert '#EXT-X-RENDITION-REPORT:URI="../audio/index.m3u8",LAST-MSN=52,LAST-PART=1' in lines(live())


def delta_form():
    found = lines(delta(live()))
    (skip,) = at(found, "#EXT-X-SKIP:")
    assert found[skip] == "#EXT-X-SKIP:SKIPPED-SEGMENTS=6"
    assert "#EXT-X-MEDIA-SEQUENCE:40" in found
    assert at(found, "#EXT-X-DISCONTINUITY-SEQUENCE")[0] < skip < at(found, "#EXTINF")[0]
    assert not at(found, "#EXT-X-MAP")


def delta_keeps_a_changed_map():
    segments = list(live().segments)
    segments[9] = dataclasses.replace(segments[9], map_uri="i1.mp4", discontinuity=True)
    update = delta(live(segments=tuple(segments)))
    assert [one.map_uri for one in update.segments if one.map_uri] == ["i1.mp4"]
    assert any(one.discontinuity for one in update.segments)


def delta_equiv():
    known = live()
    newer = live(count=13)
    update = media_parser.parse(render(delta(newer)))
    assert merge(known, update).segments[9:] == newer.segments[9:]
    assert [one.uri for one in merge(known, update).segments] == [one.uri for one in newer.segments]


def no_delta_of_a_short_or_ended_playlist():
    assert delta(live(count=5)).skipped == 0
    assert delta(live(ended=True)).skipped == 0
    assert delta(live(server_control=None)).skipped == 0


def endlist():
    found = lines(live(ended=True, hint_uri="", reports=()))
    assert found[-2:] == ["#EXT-X-ENDLIST", ""]


REQUIREMENTS = {
    "PL-SYNTAX": pl_syntax,
    "PL-SYNTAX/segment-tags": segment_tags_before_parts,
    "PL-VERSION": pl_version,
    "SEG-ROUND-TD": seg_round_td,
    "PDT-PRESENT": pdt_present,
    "NO-PLAYLIST-TYPE": no_playlist_type,
    "DISCONTINUITY-SEQUENCE": discontinuity_sequence_always,
    "LL-SERVER-CONTROL": ll_server_control,
    "PL-PARTTARGET": part_inf,
    "PART-INDEPENDENT": part_independent,
    "LL-HINT-PRESENT": hint_present,
    "NO-BYTERANGE": no_byterange,
    "CADENCE-GAP": gap_tag,
    "REPORT": rendition_report,
    "DELTA-FORM": delta_form,
    "DELTA-MAP": delta_keeps_a_changed_map,
    "DELTA-EQUIV": delta_equiv,
    "DELTA-NONE": no_delta_of_a_short_or_ended_playlist,
    "ENDLIST": endlist,
}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirement(name):
    REQUIREMENTS[name]()


def test_length():
    assert length_us(live(count=3)) == 6 * S + 666_666


names = st.text("abcdefghij0123456789/.-_é", min_size=1, max_size=12).filter(lambda name: name.strip())
durations = st.integers(0, 10**12)
part_values = st.builds(Part, names, durations, st.booleans(), st.booleans())
segment_values = st.builds(
    Segment,
    names,
    durations,
    st.none() | st.integers(0, 4 * 10**12),
    st.booleans(),
    st.booleans(),
    st.just("") | names,
    st.lists(part_values, max_size=3).map(tuple),
)
open_values = st.builds(
    Segment,
    st.just(""),
    st.none(),
    st.none() | st.integers(0, 4 * 10**12),
    parts=st.lists(part_values, min_size=1, max_size=3).map(tuple),
)
extra = st.just(()) | st.tuples(st.tuples(st.just("X-A"), names))
date_ranges = st.builds(DateRange, names, names, st.integers(0, 4 * 10**12), extra)
controls = st.builds(ServerControl, st.just(True), durations, durations, durations, st.booleans())
playlists = st.builds(
    MediaPlaylist,
    st.integers(1, 60),
    st.tuples(st.lists(segment_values, max_size=4), st.lists(open_values, max_size=1)).map(
        lambda pair: tuple(pair[0] + pair[1])
    ),
    st.integers(0, 2**63),
    st.integers(0, 2**31),
    st.integers(1, 10),
    durations,
    st.none() | controls,
    st.integers(0, 99),
    st.just("") | names,
    st.lists(st.builds(RenditionReport, names, st.integers(0, 99), st.none() | st.integers(0, 9)), max_size=2).map(
        tuple
    ),
    st.booleans(),
    st.booleans(),
    st.lists(date_ranges, max_size=2).map(tuple),
)


@given(playlists)
def test_round_trip(playlist):
    assert media_parser.parse(render(playlist)) == playlist


variants = st.builds(
    Variant,
    names,
    st.integers(1, 10**9),
    st.integers(1, 10**9),
    names,
    st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    st.integers(0, 240_000),
    st.just("") | names,
)
sounds = st.builds(AudioRendition, names, names, names, names, st.integers(1, 8), st.booleans())


@given(
    st.builds(
        MultivariantPlaylist,
        st.lists(variants, max_size=3).map(tuple),
        st.lists(sounds, max_size=2).map(tuple),
        captions=st.booleans(),
    )
)
def test_multivariant_round_trip(playlist):
    assert multivariant.parse(multivariant.render(playlist)) == playlist


def test_multivariant_text():
    text = multivariant.render(
        MultivariantPlaylist(
            (Variant("v.m3u8", 3_128_000, 2_000_000, "avc1.64001f,mp4a.40.2", (1280, 720), 29970, "a"),),
            (AudioRendition("a.m3u8", "a", "Main"),),
        )
    ).decode()
    assert text.split("\n") == [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        (
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",LANGUAGE="und",NAME="Main",DEFAULT=YES,AUTOSELECT=YES,'
            'CHANNELS="2",URI="a.m3u8"'
        ),
        (
            '#EXT-X-STREAM-INF:BANDWIDTH=3128000,AVERAGE-BANDWIDTH=2000000,CODECS="avc1.64001f,mp4a.40.2",'
            'RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="a",CLOSED-CAPTIONS=NONE'
        ),
        "v.m3u8",
        "",
    ]


def test_multivariant_text_with_captions():
    variants = tuple(Variant(uri, 3_128_000, 2_000_000, "avc1.64001f") for uri in ("v.m3u8", "w.m3u8"))
    lines = multivariant.render(MultivariantPlaylist(variants, captions=True)).decode().split("\n")
    assert (
        '#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="captions",NAME="Captions",DEFAULT=NO,AUTOSELECT=YES,'
        'INSTREAM-ID="CC1"'
    ) in lines
    offered = [line for line in lines if line.startswith("#EXT-X-STREAM-INF")]
    assert len(offered) == 2
    assert all(line.endswith(',CLOSED-CAPTIONS="captions"') for line in offered)


@pytest.mark.parametrize("parse", [media_parser.parse, multivariant.parse])
@given(
    data=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: b"#EXTM3U\n" + text.encode("utf-8", "replace"))
)
@example(data=b"#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:0001-01-01T00:00:00+23:59")
@example(data=b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI=")
@example(data=b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=99999999999999999999999\nx")
def test_arbitrary_bytes_raise_only_the_typed_error(parse, data):
    with contextlib.suppress(PlaylistError):
        parse(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#EXTINF:2,\ns.m4s",
        "#EXTM3U\n#EXTINF:2,\ns.m4s",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-TARGETDURATION:2",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns.m4s\n#EXT-X-MEDIA-SEQUENCE:3",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\ns.m4s",
        '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART:DURATION=1,URI="p"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z',
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART:DURATION=1",
    ],
)
def test_malformed(text):
    with pytest.raises(PlaylistError):
        media_parser.parse(text.encode())
