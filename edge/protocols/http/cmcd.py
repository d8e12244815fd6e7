"""Common Media Client Data (CTA-5004, version 1, and CTA-5004-A, version 2): what players say with a request.

A list of `key=value` in the style of structured fields (RFC 8941), either in the four header fields CMCD-Object,
CMCD-Request, CMCD-Session and CMCD-Status, or in the query as the argument CMCD. Version 2 adds keys and lists
in parentheses to the form.
"""

import functools
import re
import urllib.parse

from edge.protocols.http.headers import Headers

Item = str | int | float | bool
Value = Item | tuple[Item, ...]
SESSION_FIELD = "cmcd-session"
MAX_TEXT = 4096
MAX_SESSION = 64  # characters of a session id (CTA-5004, table 1: sid)
_MARK = "CMCD="
_KEY = re.compile(r"[A-Za-z*][A-Za-z0-9_.*-]{0,63}", re.ASCII)
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r'[^\x00-\x20\x7f",;()=]+')
_SPACE = re.compile(r"[ \t]*")
_WHOLE = re.compile(r"-?\d{1,15}\Z", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,12}\.\d{1,3}\Z", re.ASCII)
_ESCAPED = re.compile(r"\\(.)")


def parse(text: str) -> dict[str, Value]:
    """The keys of a list and their values: text for strings and tokens, tuples for lists; parameters are left out.

    Servers must put up with lists that are wrong: the first malformed member ends what is read. Of a key that
    comes twice the last counts. Nothing beyond MAX_TEXT characters is read.
    """
    return _Scanner(text[:MAX_TEXT]).members()


def session_id(headers: Headers, query: str) -> str:
    """The `sid` that a request brings, in its CMCD-Session field or its CMCD argument; "" when there is none."""
    if SESSION_FIELD in headers.fields:
        return _session_of(headers.fields[SESSION_FIELD])
    if _MARK not in query:
        return ""
    for argument in query.split("&"):
        if argument.startswith(_MARK):
            return _sid(urllib.parse.unquote(argument[len(_MARK) : MAX_TEXT], errors="replace"))
    return ""


def _sid(text: str) -> str:
    found = parse(text).get("sid", "")
    return found if isinstance(found, str) and len(found) <= MAX_SESSION else ""


_session_of = functools.lru_cache(maxsize=4096)(_sid)  # the field is the same all the session


class _Scanner:
    """Reads one list from left to right; None stands for what is malformed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def members(self) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while True:
            self._take(_SPACE)
            key = self._take(_KEY)
            if key is None:
                return found
            value: Value | None = True  # a key alone is a true boolean
            if self._skip("="):
                value = self._list() if self._skip("(") else self._item()
            if value is None or not self._parameters():
                return found
            self._take(_SPACE)
            if self._at < len(self._text) and not self._skip(","):
                return found
            found[key] = value
            if self._at >= len(self._text):
                return found

    def _list(self) -> tuple[Item, ...] | None:
        items: list[Item] = []
        while True:
            self._take(_SPACE)
            if self._skip(")"):
                return tuple(items)
            item = self._item()
            if item is None or not self._parameters():
                return None
            items.append(item)

    def _item(self) -> Item | None:
        match = _STRING.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
            return _ESCAPED.sub(r"\1", match[1])
        bare = self._take(_BARE)
        if bare is None:
            return None
        if _WHOLE.match(bare):
            return int(bare)
        if _DECIMAL.match(bare):
            return float(bare)
        return {"?1": True, "?0": False}.get(bare, bare)

    def _parameters(self) -> bool:
        """Skips `;name=value`; False when one is malformed."""
        while self._skip(";"):
            self._take(_SPACE)
            if self._take(_KEY) is None or (self._skip("=") and self._item() is None):
                return False
        return True

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def _skip(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True
