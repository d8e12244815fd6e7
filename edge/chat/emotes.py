"""Emotes, mentions: what in a message is more than text. Pure."""

import re
import unicodedata
from collections.abc import Collection

from appliance.contracts.chat import Emote

_NAME = re.compile(r"[A-Za-z0-9_]{2,32}\Z", re.ASCII)
_WORD = re.compile(r"\S+")
_MENTION = re.compile(r"(?<![\w@])@([A-Za-z0-9](?:[A-Za-z0-9_-]{0,28}[A-Za-z0-9])?)", re.ASCII)
_MENTIONS = 20


def is_emote_name(text: str) -> bool:
    """Whether an emote may be called so."""
    return _NAME.match(text) is not None


def find_emotes(text: str, names: Collection[str]) -> list[Emote]:
    """Words of a text that are emotes, in order."""
    if not names:
        return []
    words = _WORD.finditer(text)
    return [Emote(name=one[0], start=one.start(), end=one.end()) for one in words if one[0] in names]


def only_emotes(text: str, emotes: Collection[Emote]) -> bool:
    """Whether a text is nothing but emotes and emoji."""
    names = {one.start for one in emotes}
    return all(one.start() in names or _is_emoji(one[0]) for one in _WORD.finditer(text))


def _is_emoji(word: str) -> bool:
    seen = False
    for one in word:
        if one in "\u200d\ufe0f" or "\U0001f3fb" <= one <= "\U0001f3ff" or 0xE0020 <= ord(one) < 0xE0080:
            continue
        if unicodedata.category(one) not in ("So", "Cn") or ord(one) < 0x2000:
            return False
        seen = True
    return seen


def find_mentions(text: str) -> list[str]:
    """Names after an @, each once, at most twenty."""
    return list(dict.fromkeys(_MENTION.findall(text)))[:_MENTIONS]
