"""Blocking reload rules (draft-pantos-hls-rfc8216bis, 6.2.5.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.hls.errors import DirectiveError
from edge.protocols.hls.reload import (
    WHOLE,
    Directives,
    Now,
    Position,
    Refuse,
    Wait,
    advance_part_limit,
    decide,
    parse_directives,
)

HERE = Position(10, 3)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", Now()),
        ("_HLS_msn=9", Now()),
        ("_HLS_msn=1", Now()),
        ("_HLS_msn=1&_HLS_part=500", Now()),
        ("_HLS_msn=10", Wait(Position(10, WHOLE))),
        ("_HLS_msn=11", Wait(Position(11, WHOLE))),
        ("_HLS_msn=12", Refuse),
        ("_HLS_msn=10&_HLS_part=3", Now()),
        ("_HLS_part=4&_HLS_msn=10", Wait(Position(10, 4))),
        ("_HLS_msn=10&_HLS_part=12", Wait(Position(10, 12))),
        ("_HLS_msn=10&_HLS_part=13", Refuse),
        ("_HLS_msn=11&_HLS_part=0", Wait(Position(11, 0))),
        ("_HLS_msn=11&_HLS_part=10", Refuse),
        ("_HLS_skip=YES", Now()),
        ("a=b&_HLS_msn=9&c", Now()),
        ("%5fHLS%5Fmsn=1%30&_HLS_%70art=%34", Wait(Position(10, 4))),
        ("a=%26_HLS_msn%3D12&b=%zz%", Now()),
    ],
)
def test_decisions(query, expected):
    answer = decide(parse_directives(query), HERE, ended=False, part_target_s=0.35)
    if expected is Refuse:
        assert isinstance(answer, Refuse)
        assert answer.status == 400
    else:
        assert answer == expected


def test_first_request_before_any_content_waits():
    assert isinstance(decide(Directives(), None, ended=False, part_target_s=0.5), Wait)


def test_after_the_end_directives_are_ignored():
    assert decide(Directives(99, 99), HERE, ended=True, part_target_s=0.5) == Now()


def test_after_a_listed_whole_segment():
    here = Position(10, WHOLE)
    assert decide(Directives(10), here, ended=False, part_target_s=0.5) == Now()
    assert decide(Directives(10, 7), here, ended=False, part_target_s=0.5) == Now()
    assert decide(Directives(11, 0), here, ended=False, part_target_s=0.5) == Wait(Position(11, 0))
    assert decide(Directives(12), here, ended=False, part_target_s=0.5) == Wait(Position(12, WHOLE))
    assert isinstance(decide(Directives(13), here, ended=False, part_target_s=0.5), Refuse)


def test_a_part_past_the_last_is_the_first_of_the_next():
    wait = decide(Directives(10, 4), HERE, ended=False, part_target_s=0.5)
    assert isinstance(wait, Wait)
    assert wait.until <= Position(11, 0)


def test_a_whole_segment_is_there_with_the_first_part_of_the_next():
    assert Position(11, 0) >= Position(10, WHOLE)


@pytest.mark.parametrize(("target", "limit"), [(0.2, 15), (0.35, 9), (0.5, 6), (0.99, 4), (1.0, 3), (4.0, 3)])
def test_advance_part_limit(target, limit):
    assert advance_part_limit(target) == limit


@pytest.mark.parametrize(
    "query",
    ["_HLS_part=1", "_HLS_msn=", "_HLS_msn=x", "_HLS_msn=-1", "_HLS_msn=1.0", "_HLS_msn=1&_HLS_part=",
     "_HLS_msn=1&_HLS_msn=2", "_HLS_msn=%2D1", "_HLS_msn=1&%5FHLS_msn=2", "_HLS_msn=" + "9" * 19],
)  # fmt: skip
def test_refused_directives(query):
    with pytest.raises(DirectiveError):
        parse_directives(query)


@given(st.text(max_size=80) | st.text("_HLSmsnpartkip=&0123456789", max_size=60))
def test_arbitrary_queries(query):
    try:
        asked = parse_directives(query)
    except DirectiveError:
        return
    for here in (None, HERE):
        assert decide(asked, here, ended=False, part_target_s=0.5) is not None
