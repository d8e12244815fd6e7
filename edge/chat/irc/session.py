"""What one client says, sans I/O: who it is, what it can take, and what it wants of the rooms."""

import dataclasses
import re
from collections.abc import Callable
from typing import ClassVar

from appliance.contracts.directory import CHANNEL_NAME
from edge.chat.commands import COMMANDS
from edge.chat.irc.answers import BAD_AUTH
from edge.chat.irc.capabilities import CAPABILITIES, Caps, asked
from edge.chat.irc.lines import HOST
from edge.chat.irc.tags import ACTION, login_of
from edge.chat.limits import Budget
from edge.protocols.irc.message import Message, build
from edge.protocols.irc.reader import Rejected

MOST_ROOMS = 100
_JOINS_PER_S = 4.0
_JOINS_AT_ONCE = 50.0
_ANONYMOUS = re.compile(r"justinfan[0-9]{1,20}\Z", re.ASCII)
_CTCP = re.compile(r"\x01([A-Z]+)(?: (.*?))?\x01?\Z", re.DOTALL)
_NONCE = 64
_BAD_LINES = 10
_NOT_YET = "*"  # a nick; Twitch goes on answering CAP so
_SILENT = frozenset(("PONG", "TAGMSG", "NOTICE", "AWAY"))


@dataclasses.dataclass(frozen=True, slots=True)
class LogIn:
    """The client says who it is: `welcome` or `refuse` is to be called."""

    token: str


@dataclasses.dataclass(frozen=True, slots=True)
class CapsChanged:
    """`caps` are others than before."""


@dataclasses.dataclass(frozen=True, slots=True)
class Join:
    """It wants to sit in the room of that channel."""

    channel: str


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """It wants to leave it."""

    channel: str


@dataclasses.dataclass(frozen=True, slots=True)
class Say:
    """A message or a slash command, as the web would send it."""

    channel: str
    text: str
    reply_to: str
    nonce: str


@dataclasses.dataclass(frozen=True, slots=True)
class Bounded:
    """It wants more than it may have; the client was told. `bound` names what, for those who count."""

    bound: str


Event = LogIn | CapsChanged | Join | Part | Say | Bounded
Handle = Callable[["Session", Message, float], list[Event]]


class Session:
    """Feed it with `receive`, write `lines_to_send` after every call, end the connection when it is `over`.

    Twitch's way of coming in: PASS and NICK in any order, or NICK justinfan and digits. Nothing waits for CAP END.
    """

    def __init__(self, now: float) -> None:
        self.caps = Caps.NONE
        self.nick = _NOT_YET
        self.is_registered = False
        self.is_anonymous = False
        self.over = False
        self.rooms = 0  # it sits in or is on its way to; kept by the caller
        self._token: str | None = None
        self._wanted = ""
        self._has_introduced = False
        self._joins = Budget(_JOINS_PER_S, _JOINS_AT_ONCE, now)
        self._bad = 0
        self._out: list[bytes] = []

    def lines_to_send(self) -> bytes:
        """What must be written."""
        out, self._out = self._out, []
        return b"".join(out)

    def receive(self, line: Message | Rejected, now: float) -> list[Event]:
        """What the client wants by it; nothing once it is over."""
        if self.over:
            return []
        if isinstance(line, Rejected):
            self._reject(line)
            return [Bounded("bad_line")]
        handle = self._at_any_time.get(line.command)
        if handle is None and self.is_registered:
            handle = self._when_registered.get(line.command)
        if handle is not None:
            return handle(self, line, now)
        if line.command in self._when_registered:
            self._numeric("451", text="You have not registered")
        elif line.command not in _SILENT:
            self._numeric("421", line.command, text="Unknown command")
        return []

    def _reject(self, line: Rejected) -> None:
        self._bad += 1
        if self._bad >= _BAD_LINES:
            self.end("Too many lines that make no sense")
        elif line.too_long:
            self._numeric("417", text="Input line was too long")
        else:
            self._numeric("421", "*", text="Unknown command")

    # -- coming and going

    def welcome(self, username: str, *, anonymous: bool = False) -> None:
        """The client is who it says it is, or nobody."""
        self.nick = login_of(username)
        self.is_registered, self.is_anonymous = True, anonymous
        self._token = None
        self._numeric("001", text="Welcome, GLHF!")
        self._numeric("002", text=f"Your host is {HOST}")
        self._numeric("003", text="This server is rather new")
        self._numeric("004", text="-")
        self._numeric("375", text="-")
        self._numeric("372", text="You are in a maze of twisty passages, all alike.")
        self._numeric("376", text=">")

    def refuse(self, why: str) -> None:
        """NOTICE, and the end."""
        self._out.append(build("NOTICE", "*", text=why, prefix=HOST))
        self.over = True

    def end(self, why: str) -> None:
        """ERROR, and the end."""
        self._out.append(build("ERROR", text=why))
        self.over = True

    def _numeric(self, number: str, *params: str, text: str) -> None:
        self._out.append(build(number, self.nick, *params, text=text, prefix=HOST))

    def _register(self) -> list[Event]:
        if self.is_registered or not self._wanted:
            return []
        if _ANONYMOUS.match(self._wanted):
            self.welcome(self._wanted, anonymous=True)
        elif self._token:
            return [LogIn(self._token)]
        elif self._token is not None or self._has_introduced:
            self.refuse(BAD_AUTH)
        return []

    def _pass(self, line: Message, now: float) -> list[Event]:  # noqa: ARG002 - the same for all commands
        if self.is_registered:
            self._numeric("462", text="You may not reregister")
            return []
        self._token = line.param(0).strip().removeprefix("oauth:")
        return self._register()

    def _nick(self, line: Message, now: float) -> list[Event]:  # noqa: ARG002 - the same for all commands
        if not self.is_registered:
            self._wanted = line.param(0).lower()
        return self._register()

    def _user(self, line: Message, now: float) -> list[Event]:  # noqa: ARG002 - the same for all commands
        """Comes last from those who send it: a token that has not come by now does not come."""
        self._has_introduced = True
        return self._register()

    def _quit(self, line: Message, now: float) -> list[Event]:  # noqa: ARG002 - the same for all commands
        self.over = True
        return []

    # -- at any time

    def _ping(self, line: Message, now: float) -> list[Event]:  # noqa: ARG002 - the same for all commands
        if line.params:
            self._out.append(build("PONG", HOST, text=line.param(0), prefix=HOST))
        else:  # tmi.js, which asks so, takes no PONG with a prefix for an answer
            self._out.append(build("PONG", text=HOST))
        return []

    def _cap(self, line: Message, now: float) -> list[Event]:  # noqa: ARG002 - the same for all commands
        verb = line.param(0).upper()
        if verb == "LS":
            self._cap_answer("LS", " ".join(CAPABILITIES))
        elif verb == "LIST":
            self._cap_answer("LIST", " ".join(name for name, one in CAPABILITIES.items() if one & self.caps))
        elif verb == "REQ":
            names = " ".join(line.params[1:])
            caps = asked(self.caps, names)
            self._cap_answer("NAK" if caps is None else "ACK", names)
            if caps is not None and caps != self.caps:
                self.caps = caps
                return [CapsChanged()]
        elif verb != "END":
            self._numeric("410", text="Invalid CAP command")
        return []

    def _cap_answer(self, verb: str, names: str) -> None:
        self._out.append(build("CAP", _NOT_YET, verb, text=names, prefix=HOST))

    # -- rooms

    def _join(self, line: Message, now: float) -> list[Event]:
        found: list[Event] = []
        for channel in _channels(line.param(0)):
            if self.rooms + len(found) >= MOST_ROOMS:
                self._numeric("405", f"#{channel}", text="You have joined too many channels")
                found.append(Bounded("over_rooms"))
                break
            if not self._joins.spend(1, now):
                self._numeric("439", f"#{channel}", text="You are joining rooms too fast")
                found.append(Bounded("joins_too_fast"))
                break
            found.append(Join(channel))
        return found

    def _part(self, line: Message, now: float) -> list[Event]:  # noqa: ARG002 - the same for all commands
        return [Part(channel) for channel in _channels(line.param(0))]

    def _privmsg(self, line: Message, now: float) -> list[Event]:  # noqa: ARG002 - the same for all commands
        channels, text = _channels(line.param(0)), as_typed(line.param(1))
        if len(channels) != 1:
            self._numeric("401", line.param(0).split(" ")[0].lstrip(":")[:64] or "*", text="No such channel")
            return []
        if len(line.params) < 2:
            self._numeric("412", text="No text to send")
            return []
        if text is None:
            return []
        reply_to, nonce = line.tags.get("reply-parent-msg-id", ""), line.tags.get("client-nonce", "")
        return [Say(channels[0], text, reply_to, nonce[:_NONCE])]

    _at_any_time: ClassVar[dict[str, Handle]] = {
        "PASS": _pass,
        "NICK": _nick,
        "USER": _user,
        "QUIT": _quit,
        "PING": _ping,
        "CAP": _cap,
    }
    _when_registered: ClassVar[dict[str, Handle]] = {"JOIN": _join, "PART": _part, "PRIVMSG": _privmsg}


def _channels(text: str) -> list[str]:
    """The channels of a list, each once; what can be no channel is left out."""
    names = [name.strip().lower() for name in text.split(",")]
    return list(dict.fromkeys(name[1:] for name in names if name[:1] == "#" and CHANNEL_NAME.match(name[1:])))


def as_typed(text: str) -> str | None:
    """What somebody at the web page would have typed: /me for CTCP ACTION, / for the commands Twitch also takes
    with a dot. None: another CTCP, which is not for a room."""
    if text.startswith("\x01"):
        found = _CTCP.match(text)
        return f"{ACTION}{found[2] or ''}" if found is not None and found[1] == "ACTION" else None
    if text.startswith("."):
        name = text[1:].partition(" ")[0].lower()
        if name in COMMANDS or name in ("me", "help"):
            return "/" + text[1:]
    return text
