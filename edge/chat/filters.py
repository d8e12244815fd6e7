"""What a room does not want to read: blocked words and patterns, links. Compiled once for each change."""

import re
from collections.abc import Iterable

import re2

from appliance.contracts.chat import ErrorCode
from appliance.contracts.errors import BadInputError
from appliance.contracts.moderation import MAX_PATTERNS, Links, TermKind
from edge.chat.automaton import Automaton
from edge.chat.folding import term_of, words_of
from edge.chat.ranks import Rank

_PATTERN_MEMORY = 1 << 20  # bytes: what a pattern's automaton may take
_LINK = re.compile(
    r"(?:https?://|www\.)([^\s/?#]+)|(?<![\w@.-])((?:[a-z0-9-]{1,63}\.)+[a-z]{2,24})(?![\w-])", re.IGNORECASE
)
_BARE = frozenset(
    (
        "app", "art", "biz", "blog", "br", "ca", "cc", "ch", "chat", "click", "club", "cn", "co", "com", "de",
        "dev", "edu", "es", "eu", "fm", "fr", "fun", "gg", "gl", "gov", "icu", "id", "in", "info", "io", "it",
        "jp", "kr", "link", "live", "lol", "ly", "me", "mobi", "name", "net", "nl", "online", "org", "pl",
        "pro", "pw", "ru", "se", "shop", "site", "so", "space", "store", "stream", "tk", "to", "top", "tv",
        "uk", "us", "vip", "win", "work", "ws", "xyz",
    )
)  # fmt: skip


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY
    return options


def check_pattern(text: str, others: int) -> None:
    """BadInputError (invalid_action) when it is not RE2 syntax, too large, matches everything, or one too many."""
    if others >= MAX_PATTERNS:
        raise BadInputError(f"a room has at most {MAX_PATTERNS} patterns", code=ErrorCode.INVALID_ACTION)
    try:
        compiled = re2.compile(text, options=_options())
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else error
        raise BadInputError(f"not in RE2 syntax: {why}"[:200], code=ErrorCode.INVALID_ACTION) from error
    if compiled.search("") is not None:
        raise BadInputError("this pattern would match everything", code=ErrorCode.INVALID_ACTION)


def hosts_in(text: str) -> list[str]:
    """The hosts of the links in a text, in lower case; of bare names those with a usual top level domain."""
    found: list[str] = []
    for match in _LINK.finditer(text):
        host = (match[1] or match[2]).lower().rpartition("@")[2].partition(":")[0].rstrip(".")
        if match[1] or host.rpartition(".")[2] in _BARE:
            found.append(host.removeprefix("www."))
    return found


class Filter:
    """The terms of a room together with those of all rooms. Patterns that do not compile any more are left out."""

    __slots__ = ("_domains", "_patterns", "_words")

    def __init__(self, terms: Iterable[tuple[str, str]]) -> None:
        words: list[str] = []
        self._patterns: list[re2._Regexp] = []
        self._domains: set[str] = set()
        for kind, text in terms:
            if kind == TermKind.WORD and (word := term_of(text)):
                words.append(word)
            elif kind == TermKind.PATTERN:
                try:
                    self._patterns.append(re2.compile(text, options=_options()))
                except re2.error:
                    continue
            elif kind == TermKind.DOMAIN:
                self._domains.add(text.removeprefix("www."))
        self._words = Automaton(words) if words else None

    def blocks(self, text: str) -> bool:
        """Whether the text has a blocked word or matches a pattern."""
        if self._words is not None and self._words.first(words_of(text)):
            return True
        return any(pattern.search(text) is not None for pattern in self._patterns)

    def forbids_links(self, text: str, links: Links, rank: Rank) -> bool:
        """Whether the text has a link that somebody of this rank may not write."""
        if links is Links.ALLOW or rank >= (Rank.OWNER if links is Links.BLOCK else Rank.VIP):
            return False
        return any(not self._permits(host) for host in hosts_in(text))

    def _permits(self, host: str) -> bool:
        parts = host.split(".")
        return any(".".join(parts[first:]) in self._domains for first in range(len(parts)))
