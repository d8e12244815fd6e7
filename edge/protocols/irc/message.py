"""One line of IRC: tags, prefix, command and parameters, read and built."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from appliance.contracts.errors import BadInputError

MAX_TAGS_BYTES = 8191  # with the @ and the space (IRCv3 message tags)
MAX_LINE_BYTES = 4096  # what follows the tags: 500 characters of any script need four times RFC 1459's 512 bytes
_MAX_TAGS = 100
_MAX_PARAMS = 15  # RFC 2812, 2.3.1
_COMMAND = re.compile(r"(?:[A-Za-z]{1,32}|[0-9]{3})\Z", re.ASCII)
_ESCAPES = {"\\": "\\\\", ";": "\\:", " ": "\\s", "\r": "\\r", "\n": "\\n"}
_ESCAPE = str.maketrans(_ESCAPES | {"\0": ""})
_UNESCAPES = {":": ";", "s": " ", "r": "\r", "n": "\n"}
_ESCAPED = re.compile(r"\\(.?)", re.DOTALL)
_BREAKS = str.maketrans({"\r": " ", "\n": " ", "\0": ""})


class IrcError(BadInputError):
    """A line that is no message of IRC."""

    code = "irc"


class Message(NamedTuple):
    """`command` is in capitals. A tag without a value has an empty one."""

    command: str
    params: tuple[str, ...] = ()
    prefix: str = ""
    tags: Mapping[str, str] = {}

    def param(self, place: int) -> str:
        """The parameter at that place, empty where there is none."""
        return self.params[place] if place < len(self.params) else ""


def escape(value: str) -> str:
    """A tag's value as it travels."""
    return value.translate(_ESCAPE)


def unescape(value: str) -> str:
    """What `escape` made, and anything else as IRCv3 wants it read: an escape that means nothing is its letter."""
    if "\\" not in value:
        return value
    return _ESCAPED.sub(lambda found: _UNESCAPES.get(found[1], found[1]), value)


def parse(line: bytes) -> Message:
    """Reads a line without its end. What is no UTF-8 becomes U+FFFD; more spaces than needed do no harm.

    IrcError: there is no command, or a NUL in it.
    """
    text = line.decode("utf-8", "replace")
    if "\0" in text:
        raise IrcError("a line holds no NUL")
    tags: dict[str, str] = {}
    if text.startswith("@"):
        found, _, text = text[1:].partition(" ")
        tags = _tags(found)
    text = text.lstrip(" ")
    prefix = ""
    if text.startswith(":"):
        prefix, _, text = text[1:].partition(" ")
        text = text.lstrip(" ")
    command, _, rest = text.partition(" ")
    if _COMMAND.match(command) is None:
        raise IrcError("a line needs a command")
    return Message(command.upper(), _params(rest), prefix, tags)


def _tags(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in text.split(";", _MAX_TAGS)[:_MAX_TAGS]:
        key, _, value = one.partition("=")
        if key:
            found[key] = unescape(value)
    return found


def _params(rest: str) -> tuple[str, ...]:
    params: list[str] = []
    rest = rest.lstrip(" ")
    while rest:
        if rest.startswith(":"):
            params.append(rest[1:])
            break
        if len(params) == _MAX_PARAMS - 1:
            params.append(rest)
            break
        word, _, rest = rest.partition(" ")
        params.append(word)
        rest = rest.lstrip(" ")
    return tuple(params)


def build_tags(tags: Iterable[tuple[str, str]]) -> str:
    """Tags as they stand at the beginning of a line, with the space behind them."""
    return "@" + ";".join(f"{key}={escape(value)}" for key, value in tags) + " "


def build(
    command: str,
    *params: str,
    text: str | None = None,
    prefix: str = "",
    tags: Iterable[tuple[str, str]] = (),
) -> bytes:
    """A whole line with its end. `params` are single words; `text` may be anything and stands last.

    Line ends in `text` become spaces: nobody's words can be another line. ValueError: a parameter is no word.
    """
    for param in params:
        if not param or param[0] == ":" or any(one in " \r\n\0" for one in param):
            raise ValueError(f"{param!r} is no parameter")
    head = build_tags(tags) if tags else ""
    words = [f":{prefix}"] if prefix else []
    words += [command, *params]
    if text is not None:
        words.append(":" + text.translate(_BREAKS))
    return f"{head}{' '.join(words)}\r\n".encode("utf-8", "replace")
