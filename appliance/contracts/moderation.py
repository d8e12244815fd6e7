"""What happens in a chat room besides messages: moderation, modes, roles; as events, as requests, as records.

A `RoomEvent` is appended to the outbox of the edge where it was made; that log is its journal. The centre reduces
the events of all edges to a `RoomRecord` for each room and a `MemberRecord` for each of its users whom anything
was ever done to (appliance.contracts.room_state) and hands both down in the directory. An edge decides by those and
by the newer events of its own.
"""

import enum

import msgspec

from appliance.contracts.chat import ChatMessage

EVERY_ROOM = "00000000-0000-0000-0000-000000000000"  # as a room: what holds in all of them
MONTH_MS = 30 * 86_400_000  # of a subscription
MAX_REASON = 300
MAX_TERM = 100
MAX_TERMS = 500
MAX_PATTERNS = 50
MAX_HELD = 200
MAX_DELETED = 200
MAX_TIMEOUT_S = 14 * 86_400
MAX_SLOW_S = 3600
MAX_UNIQUE_S = 3600
MAX_FOLLOWERS_MIN = 90 * 1440


class EventKind(enum.StrEnum):
    """`event` of a room's event."""

    DELETE = "delete"
    TIMEOUT = "timeout"
    BAN = "ban"
    UNBAN = "unban"  # ends a timeout as well
    MUTE = "mute"
    UNMUTE = "unmute"
    CLEAR = "clear"
    MODE = "mode"
    ROLE = "role"
    PIN = "pin"
    UNPIN = "unpin"
    ANNOUNCE = "announce"
    RAID = "raid"
    TERM = "term"  # a blocked word or pattern, or an allowed domain; told to nobody but moderators
    HELD = "held"  # a message that waits for a moderator; told to nobody but moderators
    APPROVE = "approve"
    DENY = "deny"
    SUBSCRIPTION = "subscription"
    GIFT = "gift"
    FOLLOW = "follow"


DECISIONS = frozenset((EventKind.APPROVE, EventKind.DENY))
# What is no state, so that every edge hears of the event itself, at `happened.<channel_id>.<event_id>` of the
# directory: for as long as it matters there.
CROSSING = frozenset((EventKind.ANNOUNCE, EventKind.RAID, EventKind.HELD, *DECISIONS))
ANNOUNCED_MS = 600_000
RAIDED_MS = 60_000
HELD_MS = 24 * 3_600_000


class Role(enum.StrEnum):
    """What the owner of a room has made of a user."""

    NONE = ""
    VIP = "vip"
    MODERATOR = "moderator"


class Restriction(enum.StrEnum):
    """What keeps a user from writing."""

    NONE = ""
    MUTE = "mute"
    TIMEOUT = "timeout"
    BAN = "ban"


class Links(enum.StrEnum):
    """Who may write links."""

    ALLOW = "allow"
    MODERATORS = "moderators"  # and VIPs
    BLOCK = "block"  # nobody but the owner


class Modes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Modes of a room; `hello` shows what is not as usual."""

    slow: int = 0  # seconds between two messages of a user
    followers: int = -1  # minutes that a user must have followed; -1: everybody
    subscribers: bool = False
    emote_only: bool = False
    unique: int = 0  # seconds within which nobody says what somebody has said
    shield: bool = False  # for a time of trouble: SHIELD on top of the others
    links: Links = Links.ALLOW
    hold: bool = False  # messages that look bad wait for a moderator; otherwise they are refused


SHIELD = Modes(slow=10, followers=10, unique=60, links=Links.MODERATORS)


class TermKind(enum.StrEnum):
    """How a term is compared."""

    WORD = "word"
    PATTERN = "pattern"  # RE2 syntax
    DOMAIN = "domain"  # allowed in links
    EMOTE = "emote"  # a word that is shown as a picture


class RoomEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="event"):
    """One event. `event_id` is a UUIDv7: of two events about the same thing the one with the higher id holds."""

    event: EventKind
    event_id: str
    room: str
    edge_id: str
    timestamp: int  # Unix milliseconds
    actor_id: str = ""
    actor: str = ""
    target_id: str = ""
    target: str = ""  # a username; of a raid the channel's name
    message_id: str = ""
    until: int = 0  # of a timeout, Unix milliseconds
    reason: str = ""
    role: Role = Role.NONE
    modes: dict[str, int | bool | str] = {}  # those that changed
    text: str = ""  # of an announcement, a system event or a term
    kind: TermKind = TermKind.WORD
    on: bool = True  # False: the term is no longer kept
    message: ChatMessage | None = None  # pinned, held or approved
    count: int = 0  # viewers of a raid, months, gifts
    tier: int = 0
    origin: str = ""  # of a raid that comes: the channel it comes from; of a decision's echo: the edge it is from


class ModerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of POST /chat/{channel}/moderate; with the fields from `channel_id` on, of a request to an edge.
    `nonce` belongs to both."""

    action: str
    target: str = ""  # username, or the channel of a raid
    message_id: str = ""
    seconds: int | None = None
    reason: str = ""
    text: str = ""
    value: int | bool | str | None = None
    channel_id: str = ""
    actor_id: str = ""
    actor: str = ""
    operator: bool = False
    nonce: str = ""  # the same action with the same nonce is done once


class ModerationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The event that was made, durable; or a code with its HTTP status."""

    event_id: str = ""
    timestamp: int = 0
    code: str = ""
    detail: str = ""
    status: int = 201
    retry_after_s: float = 0.0


Value = tuple[int | bool | str, str]  # and the id of the event that set it


class RoomRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What holds in a room, at `room.<channel_id>` of the directory."""

    channel_id: str
    modes: dict[str, Value] = {}
    terms: dict[str, Value] = {}  # by "<kind>:<text>"; the value tells whether it is kept
    pin: ChatMessage | None = None
    pin_by: str = ""  # id of the event
    cleared_ms: int = 0  # what was said until then is gone
    deleted: dict[str, int] = {}  # message ids and when, the newest MAX_DELETED


class MemberRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was done to a user in a room, at `member.<channel_id>.<user_id>` of the directory."""

    channel_id: str
    user_id: str
    username: str = ""
    role: Role = Role.NONE
    role_by: str = ""  # id of the event
    restriction: Restriction = Restriction.NONE
    restriction_by: str = ""
    until_ms: int = 0  # of a timeout
    reason: str = ""
    purged_ms: int = 0  # what the user said until then is gone


class FollowRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A user follows a channel, at `follow.<channel_id>.<user_id>` of the directory."""

    channel_id: str
    user_id: str
    since_ms: int
    username: str = ""


class SubscriberRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A user's subscription of a channel, at `subscriber.<channel_id>.<user_id>` of the directory."""

    channel_id: str
    user_id: str
    tier: int
    since_ms: int
    until_ms: int
    renewed_ms: int = 0  # when the last one of them began
    username: str = ""
    giver_id: str = ""  # who gave that one as a present
    giver: str = ""
