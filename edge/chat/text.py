"""What a message may look like: cleaning and measuring of text. Pure.

Cleaning takes away what nobody can see or what harms its neighbours (controls, bidirectional overrides, floods of
zero-width characters, towers of combining marks) and leaves every script and emoji as it was written. Terms are
those of Unicode (UAX 15 normalisation, UAX 29 grapheme clusters).
"""

import unicodedata

from appliance.contracts.chat import MAX_CHARACTERS, ErrorCode
from appliance.contracts.errors import BadInputError

MAX_MARKS = 6  # nonspacing marks on one base: more than any living orthography stacks
_MAX_RAW = 8 * MAX_CHARACTERS
_BLANK = "\u2800 "  # a cell without dots belongs in pictures of braille, but is none by itself
_ZWNJ, _ZWJ = "\u200c", "\u200d"
_JOINERS = frozenset((_ZWNJ, _ZWJ))
_BLACK_FLAG = "\U0001f3f4"
_TAG_END = "\U000e007f"
_TAGS = range(0xE0020, 0xE0080)
_SELECTORS = frozenset(chr(one) for one in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
_MODIFIERS = frozenset(chr(one) for one in range(0x1F3FB, 0x1F400))
_REGIONAL = range(0x1F1E6, 0x1F200)
_MARKS = frozenset(("Mn", "Me"))
_INVISIBLE = (
    *(
        0x00AD,
        0x034F,
        0x061C,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x180E,
        0x200B,
        0x200E,
        0x200F,
        0x3164,
        0xFEFF,
        0xFFA0,
    ),
    *range(0x202A, 0x202F),  # bidirectional embeddings and overrides
    *range(0x2060, 0x2070),  # word joiner, invisible operators, bidirectional isolates
    *range(0xFFF0, 0xFFFC),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE0020),
    *(plane << 16 | last for plane in range(17) for last in (0xFFFE, 0xFFFF)),
    *range(0xFDD0, 0xFDF0),
    *range(0xD800, 0xE000),  # lone surrogates
)
_TABLE: dict[int, str | None] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), *_INVISIBLE)),
    **dict.fromkeys((0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029), " "),
}


def clean(text: str) -> str:
    """The text as it is kept and shown, in NFC, 1 to 500 code points. Cleaning twice changes nothing more.

    BadInputError: empty (also when nothing visible is left), too_long. Nothing is ever cut off.
    """
    if len(text) > _MAX_RAW:
        raise _too_long()
    if not (text.isascii() and text.isprintable()):
        text = _tidy(text)
    text = text.strip()
    if not text.strip(_BLANK):
        raise BadInputError("a message needs text", code=ErrorCode.EMPTY)
    if len(text) > MAX_CHARACTERS:
        raise _too_long()
    return text


def _too_long() -> BadInputError:
    return BadInputError(f"a message has at most {MAX_CHARACTERS} characters", code=ErrorCode.TOO_LONG)


def _tidy(text: str) -> str:
    """Each step may make work for the one before: done again until nothing changes, which is soon."""
    while True:
        done = unicodedata.normalize("NFC", _thinned(unicodedata.normalize("NFC", text.translate(_TABLE)).strip()))
        if done == text:
            return done
        text = done


def _thinned(text: str) -> str:
    """Without joiners that join nothing, selectors that select nothing, tags without a flag and marks in towers."""
    kept: list[str] = []
    marks = 0
    flag = False  # within the tags of a flag
    for place, one in enumerate(text):
        if ord(one) in _TAGS:
            flag = flag or (bool(kept) and kept[-1] == _BLACK_FLAG)
            if not flag:
                continue
            flag = one != _TAG_END
        elif one in _JOINERS:
            if not _joins(kept, text, place):
                continue
            flag = False
        elif one in _SELECTORS:
            if not kept or kept[-1].isspace() or kept[-1] in _SELECTORS or kept[-1] in _JOINERS:
                continue
        elif unicodedata.category(one) in _MARKS:
            if not kept or marks >= MAX_MARKS:
                continue
            marks += 1
        else:
            marks, flag = 0, False
        kept.append(one)
    return "".join(kept)


def _joins(kept: list[str], text: str, place: int) -> bool:
    """Whether the joiner stands between two things that can be seen."""
    if not kept or kept[-1].isspace() or kept[-1] in _JOINERS:
        return False
    following = text[place + 1 : place + 2]
    return bool(following) and not following.isspace() and following not in _JOINERS | _SELECTORS


def is_boundary(text: str, place: int) -> bool:
    """Whether text may be cut at `place` without taking a grapheme cluster apart (the usual rules of UAX 29)."""
    if place <= 0 or place >= len(text):
        return True
    before, after = text[place - 1], text[place]
    if after in _JOINERS or after in _SELECTORS or after in _MODIFIERS or ord(after) in _TAGS:
        return False
    if before == _ZWJ or unicodedata.category(after) in ("Mn", "Me", "Mc"):
        return False
    if ord(after) in _REGIONAL and ord(before) in _REGIONAL:
        return _run_of_regional(text, place) % 2 == 0
    return not _hangul(before, after)


def _run_of_regional(text: str, place: int) -> int:
    start = place
    while start > 0 and ord(text[start - 1]) in _REGIONAL:
        start -= 1
    return place - start


def _hangul(before: str, after: str) -> bool:
    leading = 0x1100 <= ord(before) < 0x1160
    syllable = 0x1160 < ord(before) < 0x1200 or 0xAC00 <= ord(before) < 0xD7A4
    return (leading and (0x1100 <= ord(after) < 0x11A8 or 0xAC00 <= ord(after) < 0xD7A4)) or (
        syllable and 0x1160 <= ord(after) < 0x1200
    )


def shorten(text: str, limit: int) -> str:
    """At most `limit` code points, the last an ellipsis where something was left out; no cluster is cut."""
    if len(text) <= limit:
        return text
    end = limit - 1
    while end > 0 and not is_boundary(text, end):
        end -= 1
    return text[:end].rstrip() + "\u2026"
