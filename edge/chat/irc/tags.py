"""Tags of messages and users, by the names Twitch gave them. Pure."""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Sequence

import msgspec

from appliance.contracts.chat import ChatMessage, Emote
from appliance.contracts.moderation import Modes

Tags = list[tuple[str, str]]

_NO_WORD = re.compile(r"[\s!@:,*\0]")
_NO_BADGE = re.compile(r"[\s,/;]")
ACTION = "/me "
_LAST_MS = 253_402_300_799_999  # of the year 9999: what a log holds may be anything
_SHIELDED = ("followers", "unique", "slow")


def login_of(username: str) -> str:
    """A user's name as IRC has it: a word in small letters."""
    return _NO_WORD.sub("_", username.lower()) or "_"


def badge_tags(badges: Sequence[str]) -> Tags:
    """`badge-info`, `badges`, `mod`, `subscriber` and `vip` of badges as rooms give them.

    "subscriber/TIER/MONTHS" becomes Twitch's subscriber/MONTHS, with 1000 added for each tier above the first's 0
    (2000 and 3000), and badge-info has the months alone.
    """
    shown: list[str] = []
    info = ""
    for badge in badges:
        name, *rest = badge.split("/")
        if name == "subscriber" and len(rest) == 2:
            info = f"subscriber/{rest[1]}"
            shown.append(f"subscriber/{_version(rest[0], rest[1])}")
        else:
            shown.append(f"{_NO_BADGE.sub('_', name)}/{_NO_BADGE.sub('_', rest[0]) if rest else '1'}")
    names = {badge.partition("/")[0] for badge in badges}
    found = [("badge-info", info), ("badges", ",".join(shown))]
    found += [("mod", _flag("moderator" in names)), ("subscriber", _flag("subscriber" in names))]
    if "vip" in names:
        found.append(("vip", "1"))
    return found


def _version(tier: str, months: str) -> str:
    if not (tier.isdecimal() and months.isdecimal()):
        return months
    return str(int(months) + (int(tier) * 1000 if int(tier) > 1 else 0))


def _flag(value: bool) -> str:
    return "1" if value else "0"


def user_tags(user_id: str, username: str, badges: Sequence[str]) -> Tags:
    """Who somebody is in a room."""
    is_mod = any(badge.partition("/")[0] == "moderator" for badge in badges)
    return [
        *badge_tags(badges),
        ("color", ""),
        ("display-name", username),
        ("turbo", "0"),
        ("user-id", user_id),
        ("user-type", "mod" if is_mod else ""),
    ]


def message_tags(message: ChatMessage, room_id: str) -> Tags:
    """All that PRIVMSG tells of a message besides its text."""
    found = user_tags(message.user_id, message.username, message.badges)
    found += [
        ("emotes", emotes_tag(message.emotes, len(ACTION) if is_action(message.message) else 0)),
        ("first-msg", "0"),
        ("flags", ""),
        ("id", message.message_id),
        ("returning-chatter", "0"),
        ("room-id", room_id),
        ("tmi-sent-ts", str(message.timestamp)),
    ]
    if message.reply_to is not msgspec.UNSET:
        found.append(("reply-parent-msg-id", message.reply_to))
    if message.parent is not msgspec.UNSET:
        found += [
            ("reply-parent-display-name", message.parent.username),
            ("reply-parent-msg-body", message.parent.text),
            ("reply-parent-user-id", message.parent.user_id),
            ("reply-parent-user-login", login_of(message.parent.username)),
        ]
    return sorted(found)


def is_action(text: str) -> bool:
    """Whether it is written with /me."""
    return text[: len(ACTION)].lower() == ACTION


def emotes_tag(emotes: Iterable[Emote], before: int = 0) -> str:
    """Twitch's form: "name:0-4,12-16/name:6-10", code points, both ends meant; `before` are not in the text."""
    places: dict[str, list[str]] = {}
    for emote in emotes:
        places.setdefault(emote.name, []).append(f"{emote.start - before}-{emote.end - before - 1}")
    return "/".join(f"{name}:{','.join(found)}" for name, found in places.items())


def modes_tags(modes: Modes, changed: Collection[str] | None = None) -> Tags:
    """Of ROOMSTATE: all modes that IRC knows, or those that `changed`. The shield changes several."""
    values = {
        "emote_only": ("emote-only", _flag(modes.emote_only)),
        "followers": ("followers-only", str(modes.followers)),
        "unique": ("r9k", _flag(bool(modes.unique))),
        "slow": ("slow", str(modes.slow)),
        "subscribers": ("subs-only", _flag(modes.subscribers)),
    }
    if changed is None:
        return list(values.values())
    names = {*changed, *(_SHIELDED if "shield" in changed else ())}
    return [tag for name, tag in values.items() if name in names]


def time_tag(timestamp: int) -> tuple[str, str]:
    """`server-time` (IRCv3) of Unix milliseconds."""
    seconds, thousandths = divmod(min(max(0, timestamp), _LAST_MS), 1000)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return "time", moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{thousandths:03d}Z"
