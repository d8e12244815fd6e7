"""NOTICEs: why a message was refused and what a command did, by the msg-ids that Twitch gave them. Pure."""

import math

from appliance.contracts.chat import ErrorCode
from appliance.contracts.errors import NearcastError
from appliance.contracts.moderation import Modes
from edge.chat.commands import COMMANDS, Command
from edge.chat.irc.lines import Spot, notice

LOGIN_FAILED = "Login authentication failed"
BAD_AUTH = "Improperly formatted auth"
HELD = ("msg_rejected", "Your message is being checked by mods.")
NO_CHANNEL = ("msg_channel_suspended", "This channel does not exist or has been suspended.")
BANNED = "msg_banned"
_REFUSALS: dict[str, tuple[str, str]] = {
    ErrorCode.BANNED: (BANNED, "You are permanently banned from talking in {channel}."),
    ErrorCode.TIMED_OUT: ("msg_timedout", "You are timed out for {seconds} more seconds."),
    ErrorCode.MUTED: ("msg_rejected_mandatory", "You are muted in {channel}."),
    ErrorCode.RATE_LIMITED: (
        "msg_ratelimit",
        "Your message was not sent because you are sending messages too quickly.",
    ),
    ErrorCode.ROOM_BUSY: ("msg_ratelimit", "Your message was not sent: too much is being written here."),
    ErrorCode.SLOW_MODE: (
        "msg_slowmode",
        "This room is in slow mode and you are sending messages too quickly. Try again in {seconds} seconds.",
    ),
    ErrorCode.SUBSCRIBERS_ONLY: ("msg_subsonly", "This room is in subscribers only mode."),
    ErrorCode.FOLLOWERS_ONLY: (
        "msg_followersonly",
        "This room is in {minutes} minutes followers-only mode. Follow {channel} to join the community!",
    ),
    ErrorCode.EMOTE_ONLY: ("msg_emoteonly", "This room is in emote only mode."),
    ErrorCode.NOT_UNIQUE: (
        "msg_r9k",
        "This room is in unique-chat mode and the message you attempted to send is not unique.",
    ),
    ErrorCode.SPAM: ("msg_duplicate", "Your message was not sent because you have written that often enough."),
    ErrorCode.BLOCKED_TERM: (
        "msg_rejected_mandatory",
        "Your message wasn't posted due to conflicts with the channel's moderation settings.",
    ),
    ErrorCode.LINKS_NOT_ALLOWED: ("msg_rejected_mandatory", "Your message wasn't posted: {detail}."),
    ErrorCode.TOO_LONG: ("msg_too_long", "Your message was not sent: {detail}."),
    ErrorCode.EMPTY: ("msg_bad_characters", "Your message was not sent: {detail}."),
    ErrorCode.INVALID_FRAME: ("msg_bad_characters", "Your message was not sent: {detail}."),
    ErrorCode.UNKNOWN_COMMAND: ("unrecognized_cmd", "Unrecognized command: {command}"),
    ErrorCode.NOT_ALLOWED: ("no_permission", "You don't have permission to perform that action."),
    ErrorCode.UNKNOWN_USER: ("invalid_user", "No user matching that username."),
    ErrorCode.IS_BANNED: ("{name}_banned", "{detail}."),
    ErrorCode.UNKNOWN_MESSAGE: ("bad_delete_message_error", "{detail}."),
    ErrorCode.UNKNOWN_ROOM: ("no_channel", "{detail}."),
}
_AWAY = ("msg_unavailable", "Your message was not sent: {detail}.")
_FOLLOWERS = (
    "msg_followersonly_zero",
    "This room is in followers-only mode. Follow {channel} to join the community!",
)
_USAGE = ("usage_{name}", "Usage: {detail}")

_DONE: dict[tuple[str, bool], tuple[str, str]] = {
    ("ban", True): ("ban_success", "{rest} is now banned from this channel."),
    ("unban", True): ("unban_success", "{rest} is no longer banned from this chat room."),
    ("timeout", True): ("timeout_success", "{rest} has been timed out."),
    ("untimeout", True): ("untimeout_success", "{rest} is no longer timed out in this chat room."),
    ("delete", True): ("delete_message_success", "The message has been deleted."),
    ("mod", True): ("mod_success", "You have added {rest} as a moderator of this channel."),
    ("unmod", True): ("unmod_success", "You have removed {rest} as a moderator of this channel."),
    ("vip", True): ("vip_success", "You have added {rest} as a VIP of this channel."),
    ("unvip", True): ("unvip_success", "You have removed {rest} as a VIP of this channel."),
    ("slow", True): ("slow_on", "This room is now in slow mode."),
    ("slow", False): ("slow_off", "This room is no longer in slow mode."),
    ("followers", True): ("followers_on", "This room is now in followers-only mode."),
    ("followers", False): ("followers_off", "This room is no longer in followers-only mode."),
    ("subscribers", True): ("subs_on", "This room is now in subscribers-only mode."),
    ("subscribers", False): ("subs_off", "This room is no longer in subscribers-only mode."),
    ("emoteonly", True): ("emote_only_on", "This room is now in emote-only mode."),
    ("emoteonly", False): ("emote_only_off", "This room is no longer in emote-only mode."),
    ("uniquechat", True): ("r9k_on", "This room is now in unique-chat mode."),
    ("uniquechat", False): ("r9k_off", "This room is no longer in unique-chat mode."),
}


def refused(spot: Spot, error: NearcastError, text: str, modes: Modes) -> bytes:
    """Why `text` was not taken."""
    name = _name(text)
    fields = {
        "channel": spot.channel,
        "seconds": str(max(1, math.ceil(error.retry_after_s or 0))),
        "minutes": str(modes.followers),
        "detail": error.detail,
        "command": f"/{name}",
        "name": name,
    }
    msg_id, said = _REFUSALS.get(str(error.code), _AWAY)
    if error.code == ErrorCode.INVALID_ACTION:
        msg_id, said = _USAGE
    elif error.code == ErrorCode.FOLLOWERS_ONLY and modes.followers <= 0:
        msg_id, said = _FOLLOWERS
    return notice(spot, said.format_map(fields), msg_id.format_map(fields))


def done(spot: Spot, text: str, answer: str) -> bytes:
    """What a command did; `answer` is what the gateway says of it: lines of help, or that it is done."""
    name, command = _name(text), COMMANDS.get(_name(text))
    if command is None:
        return b"".join(notice(spot, line, "cmds_available") for line in answer.split("\n"))
    known = _DONE.get((command.action, _is_on(command)))
    rest = text.partition(" ")[2].split(" ")[0].removeprefix("@")
    if known is None:
        return notice(spot, f"/{name}: done.", f"{name}_success")
    return notice(spot, known[1].format_map({"rest": rest}), known[0])


def _is_on(command: Command) -> bool:
    return command.value is not False


def _name(text: str) -> str:
    """Of the command."""
    return text[1:].partition(" ")[0].lower()[:30]
