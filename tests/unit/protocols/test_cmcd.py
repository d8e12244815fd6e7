"""Common media client data in both versions, well-formed and not."""

import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.http.cmcd import MAX_TEXT, parse, session_id
from edge.protocols.http.headers import Headers

SID = "6e2fb550-c457-11e9-bb97-0800200c9a66"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f'sid="{SID}"', {"sid": SID}),
        ("br=3200,d=4004,ot=v,tb=6000", {"br": 3200, "d": 4004, "ot": "v", "tb": 6000}),
        ('bl=21300,dl=18500,mtp=48100,nor="..%2F300kbps%2Ftrack.m4v",su', {
            "bl": 21300, "dl": 18500, "mtp": 48100, "nor": "..%2F300kbps%2Ftrack.m4v", "su": True,
        }),
        ('cid="a, \\"b\\" = c",pr=1.08,sf=h,st=l,v=1', {
            "cid": 'a, "b" = c', "pr": 1.08, "sf": "h", "st": "l", "v": 1,
        }),
        ("bs=?0 , v=2", {"bs": False, "v": 2}),
        ("br=(5000;v 128;a),ltc=1300,sta=p,v=2", {"br": (5000, 128), "ltc": 1300, "sta": "p", "v": 2}),
        ('nor=("a b" "c";r="0-9"),com.example-x=1', {"nor": ("a b", "c"), "com.example-x": 1}),
        ("", {}),
        ("br=1,=2,d=3", {"br": 1}),
        ('br=1,sid="open', {"br": 1}),
        ("br=(1 2", {}),
        ("br=1 d=2", {}),
        ("v=1,v=2", {"v": 2}),
    ],
)  # fmt: skip
def test_lists(text, found):
    assert parse(text) == found


@given(st.text() | st.text('abr=(),;"\\ 12?.-'))
def test_nothing_breaks_it(text):
    assert all(isinstance(key, str) for key in parse(text))


plain = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
values = (
    st.booleans()
    | st.integers(-(10**15) + 1, 10**15 - 1)
    | plain
    | st.lists(plain | st.integers(0, 10**6), max_size=3).map(tuple)
)


def written(value):
    if value is True:
        return ""
    if value is False:
        return "=?0"
    if isinstance(value, tuple):
        return f"=({' '.join(written(item)[1:] for item in value)})"
    if isinstance(value, int):
        return f"={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'="{escaped}"'


@given(st.dictionaries(st.from_regex(r"[a-z][a-z.*-]{0,8}", fullmatch=True), values, max_size=5))
def test_what_is_written_is_read(members):
    text = ", ".join(key + written(value) for key, value in members.items())
    assert parse(text) == members


def test_session_of_a_request():
    field = Headers({"cmcd-session": f'sid="{SID}",v=1'})
    assert session_id(field, "") == SID
    none = Headers({})
    argument = urllib.parse.quote(f'bl=1200,sid="{SID}",st=l')
    assert session_id(none, f"_HLS_msn=4&CMCD={argument}&_HLS_part=1") == SID
    assert session_id(none, f"XCMCD={argument}") == ""
    assert session_id(none, "_HLS_msn=4") == ""
    assert session_id(none, "CMCD=sid%3D7") == "", "a number is no session id"
    assert session_id(Headers({"cmcd-session": f'sid="{"x" * 65}"'}), "") == ""
    assert session_id(none, "CMCD=" + "a" * MAX_TEXT) == ""
