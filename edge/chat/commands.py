"""Slash commands: what moderators type instead of calling the API. Pure."""

from typing import NamedTuple

from appliance.contracts.chat import ErrorCode
from appliance.contracts.errors import BadInputError
from appliance.contracts.moderation import ModerationRequest
from edge.chat.ranks import Rank

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Command(NamedTuple):
    """`form` names the words that follow, the last takes all that is left; ones in brackets may be missing."""

    action: str
    form: tuple[str, ...]
    help: str
    value: int | bool | None = None
    rank: Rank = Rank.MODERATOR


COMMANDS: dict[str, Command] = {
    "ban": Command("ban", ("user", "[reason]"), "keep a user out for good"),
    "unban": Command("unban", ("user",), "let a user write again"),
    "timeout": Command("timeout", ("user", "[time]", "[reason]"), "keep a user out for a while, else 10 minutes"),
    "untimeout": Command("untimeout", ("user",), "end a timeout"),
    "mute": Command("mute", ("user", "[reason]"), "let a user read only, without telling the room"),
    "unmute": Command("unmute", ("user",), "end that"),
    "delete": Command("delete", ("message_id",), "take a message away"),
    "clear": Command("clear", (), "take all messages away"),
    "slow": Command("slow", ("[time]",), "one message of a user in that time, else 30 s"),
    "slowoff": Command("slow", (), "end that", value=False),
    "followers": Command("followers", ("[minutes]",), "only who has followed for so many minutes may write"),
    "followersoff": Command("followers", (), "end that", value=False),
    "subscribers": Command("subscribers", (), "only subscribers may write", value=True),
    "subscribersoff": Command("subscribers", (), "end that", value=False),
    "emoteonly": Command("emoteonly", (), "only emotes can be written", value=True),
    "emoteonlyoff": Command("emoteonly", (), "end that", value=False),
    "uniquechat": Command("uniquechat", ("[time]",), "nobody repeats what was said in that time, else 60 s"),
    "uniquechatoff": Command("uniquechat", (), "end that", value=False),
    "shield": Command("shield", (), "stricter modes at once, for a time of trouble", value=True),
    "shieldoff": Command("shield", (), "end that", value=False),
    "hold": Command("hold", (), "doubtful messages wait for a moderator", value=True),
    "holdoff": Command("hold", (), "end that", value=False),
    "links": Command("links", ("value",), "who may write links: allow, moderators, block"),
    "block": Command("block", ("text",), "block a word; with * at an end also longer ones"),
    "unblock": Command("unblock", ("text",), "end that"),
    "pattern": Command("pattern", ("text",), "block what matches a pattern in RE2 syntax"),
    "unpattern": Command("unpattern", ("text",), "end that"),
    "emote": Command("emote", ("text",), "add an emote of the channel"),
    "unemote": Command("unemote", ("text",), "end that"),
    "permit": Command("permit", ("text",), "a domain that links may lead to"),
    "unpermit": Command("unpermit", ("text",), "end that"),
    "approve": Command("approve", ("message_id",), "show a message that waits"),
    "deny": Command("deny", ("message_id",), "do not show it"),
    "pin": Command("pin", ("message_id",), "keep a message in sight"),
    "unpin": Command("unpin", (), "end that"),
    "announce": Command("announce", ("text",), "say something that stands out"),
    "mod": Command("mod", ("user",), "make a user a moderator", rank=Rank.OWNER),
    "unmod": Command("unmod", ("user",), "end that", rank=Rank.OWNER),
    "vip": Command("vip", ("user",), "make a user a VIP", rank=Rank.OWNER),
    "unvip": Command("unvip", ("user",), "end that", rank=Rank.OWNER),
    "raid": Command("raid", ("channel",), "take your viewers to another channel", rank=Rank.OWNER),
}
_EVERYBODYS = {
    "me": Command("me", ("text",), "write about yourself", rank=Rank.VIEWER),
    "help": Command("help", ("[command]",), "what can be done here", rank=Rank.VIEWER),
}
_DEFAULTS = {"slow": 30, "followers": 0, "uniquechat": 60}
_FIELDS = {"user": "target", "channel": "target"}


def is_command(text: str) -> bool:
    """Whether a text is a command rather than a message; "/me" is a way to write one."""
    return text.startswith("/") and text[1:2].isalpha() and not text.lower().startswith("/me ")


def is_help(text: str) -> bool:
    """Whether it asks for help."""
    return text.lower().split()[0] == "/help"


def listing(rank: Rank) -> list[dict[str, object]]:
    """The commands that somebody of this rank has: name, form, help."""
    return [
        {"name": key, "form": one.form, "help": one.help}
        for key, one in (*_EVERYBODYS.items(), *COMMANDS.items())
        if one.rank <= rank
    ]


def help_text(text: str, rank: Rank) -> str:
    """The commands that somebody of this rank has, or one of them."""
    asked = text.split()[1:2]
    name = asked[0].removeprefix("/").lower() if asked else ""
    found = {key: one for key, one in COMMANDS.items() if one.rank <= rank}
    if name in found:
        return _line(name, found[name])
    if not found:
        return "/me text: write about yourself"
    return "\n".join(_line(key, one) for key, one in found.items())


def _line(name: str, command: Command) -> str:
    return " ".join((f"/{name}", *command.form)) + ": " + command.help


def parse(text: str) -> ModerationRequest:
    """The action of a command. BadInputError: unknown_command, or invalid_action with how it is written."""
    name, _, rest = text[1:].partition(" ")
    command = COMMANDS.get(name.lower())
    if command is None and name.lower() in _EVERYBODYS:  # with nothing behind it
        raise BadInputError(_line(name.lower(), _EVERYBODYS[name.lower()]), code=ErrorCode.INVALID_ACTION)
    if command is None:
        raise BadInputError(f"there is no command /{name[:30]}", code=ErrorCode.UNKNOWN_COMMAND)
    fields: dict[str, str | int | bool] = {"action": command.action}
    for place, part in enumerate(command.form):
        rest = rest.strip()
        word, _, after = rest.partition(" ")
        if place == len(command.form) - 1 and part.strip("[]") in ("reason", "text"):
            word, after = rest, ""
        if not _take(fields, part, word, last=place == len(command.form) - 1):
            raise BadInputError(_line(name.lower(), command), code=ErrorCode.INVALID_ACTION)
        if part != "[time]" or "seconds" in fields or not word:
            rest = after
    if command.value is not None:
        fields["value"] = command.value
    elif command.action in _DEFAULTS:
        fields.setdefault("value", fields.pop("seconds", _DEFAULTS[command.action]))
    return ModerationRequest(**fields)  # type: ignore[arg-type]


def _take(fields: dict[str, str | int | bool], part: str, word: str, *, last: bool) -> bool:
    """Puts one word where it belongs; whether it can be that."""
    name = part.strip("[]")
    if name in ("time", "minutes"):
        seconds = duration(word)
        if seconds is None:
            return not word or not last
        if name == "minutes":
            fields["value"] = seconds if word.isdecimal() else seconds // 60
        else:
            fields["seconds"] = seconds
        return True
    if not word:
        return part != name
    fields[_FIELDS.get(name, name)] = word
    return True


def duration(word: str) -> int | None:
    """Seconds of "90", "90s", "10m", "2h", "1d" or "1w"; None when it is nothing like that."""
    number, unit = (word[:-1], word[-1:].lower()) if word[-1:].lower() in _UNITS else (word, "s")
    if not (number.isascii() and number.isdecimal()) or len(number) > 8:
        return None
    return int(number) * _UNITS[unit]
