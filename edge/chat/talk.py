"""What was said in a room lately, as far as slow mode and unique chat need it. Pure and bounded."""

import unicodedata
from collections import OrderedDict

_USERS = 20_000
_TEXTS = 5_000


def plain(text: str) -> str:
    """The text without case, width, spaces and punctuation: what makes two messages the same."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(one for one in folded if one.isalnum())
    return words or folded


class Talk:
    """Times in Unix milliseconds; the longest silent users and the oldest texts are forgotten first."""

    __slots__ = ("_spoke", "_texts")

    def __init__(self) -> None:
        self._spoke: OrderedDict[str, int] = OrderedDict()
        self._texts: OrderedDict[str, int] = OrderedDict()

    def said(self, user_id: str, text: str, at_ms: int) -> None:
        """A message was taken; telling it twice does no harm."""
        _note(self._spoke, user_id, at_ms, _USERS)
        _note(self._texts, plain(text), at_ms, _TEXTS)

    def silent_until(self, user_id: str, slow_s: int, now_ms: int) -> float:
        """Seconds until the user may speak again; none or less: now."""
        spoke = self._spoke.get(user_id)
        return 0.0 if spoke is None else (spoke + slow_s * 1000 - now_ms) / 1000

    def said_until(self, text: str, unique_s: int, now_ms: int) -> float:
        """Seconds until the text may be said again; none or less: now."""
        said = self._texts.get(plain(text))
        return 0.0 if said is None else (said + unique_s * 1000 - now_ms) / 1000


def _note(table: OrderedDict[str, int], key: str, at_ms: int, most: int) -> None:
    table[key] = max(at_ms, table.get(key, 0))
    table.move_to_end(key)
    if len(table) > most:
        table.popitem(last=False)
