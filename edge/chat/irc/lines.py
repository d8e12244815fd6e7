"""What happens in a room as lines of IRC, for those with certain capabilities. Pure."""

import math
from collections.abc import Callable, Collection

import msgspec

from appliance.contracts.chat import ChatMessage
from appliance.contracts.moderation import Modes
from edge.chat.irc.capabilities import Caps
from edge.chat.irc.tags import ACTION, Tags, is_action, login_of, message_tags, modes_tags, time_tag, user_tags
from edge.protocols.irc.message import build

HOST = "tmi.twitch.tv"  # clients such as tmi.js take lines of no other server for the server's own


class Happened(msgspec.Struct, frozen=True, kw_only=True, rename={"origin": "from"}):
    """The part of an event's document (edge.chat.happenings) that lines need."""

    event: str
    event_id: str = ""
    timestamp: int = 0
    user_id: str = ""
    username: str = ""
    message_id: str = ""
    until: int = 0
    text: str = ""
    modes: Modes | None = None
    changed: list[str] | None = None  # of the modes
    tier: int = 0
    count: int = 0
    months: int = 0
    viewers: int = 0
    giver_id: str = ""
    giver: str = ""
    origin: str = ""


class Spot(msgspec.Struct, frozen=True):
    """A room as a line names it, and for whom the line is."""

    channel: str
    room_id: str
    caps: Caps

    @property
    def name(self) -> str:
        """With the #."""
        return "#" + self.channel

    def tags(self, tags: Tags, timestamp: int = 0) -> Tags:
        """Those that the capabilities let through."""
        found = sorted(tags) if self.caps & Caps.TAGS else []
        if timestamp and self.caps & Caps.TIME:
            found.append(time_tag(timestamp))
        return found


def mask(username: str) -> str:
    """The prefix of a user's lines."""
    login = login_of(username)
    return f"{login}!{login}@{login}.{HOST}"


def message_line(spot: Spot, message: ChatMessage) -> bytes:
    """PRIVMSG; what is written with /me as CTCP ACTION."""
    text = message.message
    if is_action(text):
        text = f"\x01ACTION {text[len(ACTION) :]}\x01"
    tags = message_tags(message, spot.room_id) if spot.caps & Caps.TAGS else []
    return build(
        "PRIVMSG", spot.name, text=text, prefix=mask(message.username), tags=spot.tags(tags, message.timestamp)
    )


def event_lines(spot: Spot, event: Happened) -> bytes:
    """What an event is in IRC; nothing for those that IRC does not know, or without twitch.tv/commands."""
    make = _LINES.get(event.event)
    return b"" if make is None or not spot.caps & Caps.COMMANDS else make(spot, event)


def room_state(spot: Spot, modes: Modes, changed: Collection[str] | None = None) -> bytes:
    """ROOMSTATE with all modes, as clients get it when they join; or with those alone that `changed`."""
    tags = modes_tags(modes, changed)
    if not tags:
        return b""
    return build("ROOMSTATE", spot.name, prefix=HOST, tags=spot.tags([*tags, ("room-id", spot.room_id)]))


def user_state(
    spot: Spot, user_id: str, username: str, badges: list[str], *, message_id: str = "", nonce: str = ""
) -> bytes:
    """USERSTATE: who the client's user is in the room; with the id of a message that is durable now."""
    tags = [*user_tags(user_id, username, badges), ("emote-sets", "0")]
    if message_id:
        tags.append(("id", message_id))
    if nonce:
        tags.append(("client-nonce", nonce))
    return build("USERSTATE", spot.name, prefix=HOST, tags=spot.tags(tags))


def notice(spot: Spot, text: str, msg_id: str = "") -> bytes:
    """NOTICE about the room."""
    return build(
        "NOTICE", spot.name, text=text, prefix=HOST, tags=spot.tags([("msg-id", msg_id)] if msg_id else [])
    )


# -- events


def _delete(spot: Spot, event: Happened) -> bytes:
    tags = [
        ("login", login_of(event.username) if event.username else ""),
        ("room-id", spot.room_id),
        ("target-msg-id", event.message_id),
        ("tmi-sent-ts", str(event.timestamp)),
    ]
    return build("CLEARMSG", spot.name, text="", prefix=HOST, tags=spot.tags(tags, event.timestamp))


def _clear_user(spot: Spot, event: Happened) -> bytes:
    tags = [
        ("room-id", spot.room_id),
        ("target-user-id", event.user_id),
        ("tmi-sent-ts", str(event.timestamp)),
    ]
    if event.until:
        seconds = max(1, math.ceil((event.until - event.timestamp) / 1000))
        tags.append(("ban-duration", str(seconds)))
    text = login_of(event.username)
    return build("CLEARCHAT", spot.name, text=text, prefix=HOST, tags=spot.tags(tags, event.timestamp))


def _clear(spot: Spot, event: Happened) -> bytes:
    tags = [("room-id", spot.room_id), ("tmi-sent-ts", str(event.timestamp))]
    return build("CLEARCHAT", spot.name, prefix=HOST, tags=spot.tags(tags, event.timestamp))


def _mode(spot: Spot, event: Happened) -> bytes:
    return b"" if event.modes is None else room_state(spot, event.modes, event.changed)


def _announce(spot: Spot, event: Happened) -> bytes:
    return _user_notice(spot, event, "announcement", "", [("msg-param-color", "PRIMARY")], event.text)


def _raid(spot: Spot, event: Happened) -> bytes:
    """Told in the room that is raided."""
    if not event.origin:
        return b""
    params = [
        ("msg-param-displayName", event.origin),
        ("msg-param-login", login_of(event.origin)),
        ("msg-param-viewerCount", str(event.viewers)),
    ]
    raider = msgspec.structs.replace(event, username=event.origin)
    return _user_notice(spot, raider, "raid", f"{event.viewers} raiders from {event.origin} have joined!", params)


def _subscription(spot: Spot, event: Happened) -> bytes:
    months = max(1, event.months or event.count)
    tier = max(1, event.tier)
    said = f"{event.username} subscribed at Tier {tier}."
    if months > 1:
        said += f" They've subscribed for {months} months!"
    params = [
        ("msg-param-cumulative-months", str(months)),
        ("msg-param-months", "0"),
        ("msg-param-should-share-streak", "0"),
        ("msg-param-sub-plan", str(tier * 1000)),
        ("msg-param-sub-plan-name", f"Tier {tier}"),
    ]
    return _user_notice(spot, event, "resub" if months > 1 else "sub", said, params)


def _gift(spot: Spot, event: Happened) -> bytes:
    """The notice is the giver's; its parameters tell of who was given it."""
    tier = max(1, event.tier)
    params = [
        ("msg-param-gift-months", "1"),
        ("msg-param-months", str(max(1, event.months))),
        ("msg-param-recipient-display-name", event.username),
        ("msg-param-recipient-id", event.user_id),
        ("msg-param-recipient-user-name", login_of(event.username)),
        ("msg-param-sub-plan", str(tier * 1000)),
        ("msg-param-sub-plan-name", f"Tier {tier}"),
    ]
    said = f"{event.giver} gifted a Tier {tier} sub to {event.username}!"
    giver = msgspec.structs.replace(event, user_id=event.giver_id, username=event.giver)
    return _user_notice(spot, giver, "subgift", said, params)


def _user_notice(
    spot: Spot, event: Happened, msg_id: str, said: str, params: Tags, text: str | None = None
) -> bytes:
    tags = [
        *user_tags(event.user_id, event.username, []),
        ("emotes", ""),
        ("flags", ""),
        ("id", event.event_id),
        ("login", login_of(event.username)),
        ("msg-id", msg_id),
        ("room-id", spot.room_id),
        ("system-msg", said),
        ("tmi-sent-ts", str(event.timestamp)),
        *params,
    ]
    return build("USERNOTICE", spot.name, text=text, prefix=HOST, tags=spot.tags(tags, event.timestamp))


_LINES: dict[str, Callable[[Spot, Happened], bytes]] = {
    "delete": _delete,
    "timeout": _clear_user,
    "ban": _clear_user,
    "clear": _clear,
    "mode": _mode,
    "announce": _announce,
    "raid": _raid,
    "subscription": _subscription,
    "gift": _gift,
}
