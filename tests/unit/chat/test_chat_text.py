"""Cleaning of messages: what is taken away, what stays, what is refused."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.contracts.errors import BadInputError
from edge.chat.text import MAX_MARKS, clean, is_boundary, shorten

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
RAINBOW = "\U0001f3f3\ufe0f\u200d\U0001f308"
NASTY = st.lists(
    st.characters(codec="utf-8")
    | st.sampled_from(
        "\u200b\u200c\u200d\ufeff\u202e\u2066\u0301\u0316\u20dd\ufe0f\u0600\u1160\n\t\x00 a\u00e9\u3164"
    )
    | st.sampled_from("\U0001f3f4\U000e0067\U000e007f\U0001f1e9\U0001f468\u1100\u1161"),
    max_size=30,
).map("".join)


@pytest.mark.parametrize(
    "text",
    [
        "hello, world",
        "Ünïcödé",
        "สวัสดีครับ ที่",
        "नमस्ते क्‍ष",
        "می‌خواهم",
        "שָׁלוֹם",
        "한국어 日本語",
        FAMILY,
        SCOTLAND,
        RAINBOW,
        "\U0001f44d\U0001f3fd ❤️",
        "Tiếng Việt",
    ],
)
def test_what_people_write_stays(text):
    assert clean(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("  a  ", "a"),
        ("a\x00\x07\x1b[31mb", "a[31mb"),
        ("a\r\nb\tc", "a  b c"),
        ("evil\u202etxt.exe", "eviltxt.exe"),
        ("\u2066a\u2069", "a"),
        ("a\u200b\u200b\u200b\u2060\ufeffb", "ab"),
        ("a\u200d\u200d\u200d\u200db", "a\u200db"),
        ("a\u200d", "a"),
        ("\u200da", "a"),
        ("z" + "\u0316" * 40, "z" + "\u0316" * MAX_MARKS),
        ("\u0301\u0301a", "a"),
        ("\U000e0067\U000e0062x", "x"),
        ("x\ufe0f\ufe0f\ufe0f", "x\ufe0f"),
        ("e\u0301", "é"),
        ("a\u200b\u0301", "á"),
    ],
)
def test_what_harms_goes(text, left):
    assert clean(text) == left


@pytest.mark.parametrize(
    "text", ["", "   ", "\n\t", "\u200b\u200d\u2060", "\u202e\u202c", "\u3164\u3164", "\u0301", "\u2800 \u2800"]
)
def test_nothing_to_see_is_empty(text):
    with pytest.raises(BadInputError) as caught:
        clean(text)
    assert caught.value.code == "empty"


def test_length_is_counted_in_code_points_after_nfc():
    assert len(clean("e\u0301" * 500)) == 500
    assert clean("\U0001f600" * 500)
    for text in ("x" * 501, "\U0001f600" * 501, "é" * 100_000):
        with pytest.raises(BadInputError) as caught:
            clean(text)
        assert caught.value.code == "too_long"


@given(NASTY)
@example("a" + "\u0316" * 7 + "\u0301")
@example("\u0301\u0301a\u200d\ufe0f\u200d")
@example("\U0001f3f4\u200d\U000e0067")
def test_cleaning_is_stable_and_leaves_nothing_bad(text):
    try:
        cleaned = clean(text)
    except BadInputError as error:
        assert error.code in ("empty", "too_long")
        return
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert 0 < len(cleaned) <= 500
    assert cleaned == cleaned.strip()
    assert not {"Cc", "Cs"} & {unicodedata.category(one) for one in cleaned}
    assert not set(cleaned) & set("\u200b\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2060\ufeff")
    run = 0
    for one in cleaned:
        if unicodedata.category(one) in ("Mn", "Me"):
            run += one not in "\ufe0f\u0e01"
        elif unicodedata.category(one) != "Cf":
            run = 0
        assert run <= MAX_MARKS or one > "\ufdff"


@given(NASTY, st.integers(2, 30))
def test_shortening_cuts_no_cluster(text, limit):
    short = shorten(text, limit)
    assert len(short) <= limit
    if len(text) > limit:
        assert short.endswith("\u2026")
        kept = short[:-1]
        assert text.startswith(kept)


def test_boundaries():
    assert shorten("ab" + FAMILY + "cd", 5) == "ab\u2026"
    assert shorten("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7" * 2, 4) == "\U0001f1e9\U0001f1ea\u2026"
    assert not is_boundary("e\u0316x", 1)
    assert is_boundary("e\u0316x", 2)
    assert not is_boundary("\u1100\u1161", 1)
    assert shorten("short", 10) == "short"
