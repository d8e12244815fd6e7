"""Text as a word filter compares it: without case, accents, look-alikes, leet, spacing tricks. Pure."""

import re
import unicodedata

_ALIKE = str.maketrans(
    {
        **dict(zip("аеорсхуіјѕһвкмнтг", "aeopcxyijshbkmhtr", strict=True)),  # Cyrillic
        **dict(zip("αεορχυικνβητ", "aeopxyiknbht", strict=True)),  # Greek
        **dict(zip("ıłøđħŧæßɑɡ", "ilodhtasag", strict=True)),
    }
)
_LEET = str.maketrans("0134578@$!|+", "oieastbasiit")
_RUN = re.compile(r"(.)\1{2,}")
_SPLIT = re.compile(r"[\W_]+")


def folded(text: str) -> str:
    """Without case, accents, width and look-alikes of other scripts."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in apart if not unicodedata.combining(one)).translate(_ALIKE)


def words_of(text: str) -> str:
    """The words of a text, each between spaces, and after them the readings that a trick would have hidden.

    Readings: punctuation within a word left out, leet read as letters, single letters read together, letters that
    are held read once and twice.
    """
    chunks = folded(text).split()
    words = [word for chunk in chunks for word in _SPLIT.split(chunk) if word]
    found = [*words, "\n"]
    for chunk in chunks:
        if chunk.isalpha():
            continue
        read = _unleet(chunk)
        joined = _SPLIT.sub("", read)
        found += [joined, "\n", *(one for one in _SPLIT.split(read) if one), "\n"]
    found += _spelled([_SPLIT.sub("", _unleet(chunk)) for chunk in chunks])
    found += _spelled([_unleet(word) for word in words])
    found += [reading for word in list(found) for reading in _unheld(word)]
    return f" {' '.join(found)} "


def _unleet(word: str) -> str:
    return word.translate(_LEET) if any(one.isalpha() for one in word) or not word.isdecimal() else word


def _spelled(words: list[str]) -> list[str]:
    """Runs of single letters as words."""
    found: list[str] = []
    run = ""
    for word in [*words, "\n\n"]:
        if len(word) == 1:
            run += word
            continue
        if len(run) > 1:
            found += ["\n", run]
        run = ""
    return [*found, "\n"]


def _unheld(word: str) -> list[str]:
    if _RUN.search(word) is None:
        return []
    return [_RUN.sub(r"\1", word), "\n", _RUN.sub(r"\1\1", word), "\n"]


def term_of(text: str) -> str:
    """A term as it is looked for in `words_of`: whole words, or with * at an end any beginning or ending of one.

    Empty when nothing of it can be compared.
    """
    word = " ".join(_SPLIT.sub(" ", folded(text.strip("* "))).split())
    if not word:
        return ""
    return ("" if text.startswith("*") else " ") + word + ("" if text.endswith("*") else " ")
