"""Chat as clients, gateways and the centre speak it: messages, frames, limits, close codes."""

import enum

import msgspec

MAX_CHARACTERS = 500
PARENT_CHARACTERS = 80
MAX_FRAME_BYTES = 16 * 1024
MAX_NONCE = 255  # characters of a nonce over HTTP, as of an Idempotency-Key
USER_MESSAGES_PER_MINUTE = 20
ROOM_MESSAGES_PER_MINUTE = 10_000
ALL_MESSAGES_PER_MINUTE = 1_000_000
PING_INTERVAL_S = 30
PONG_TIMEOUT_S = 10


class Emote(msgspec.Struct, frozen=True, kw_only=True):
    """A word of a message that is shown as a picture: code points `start` to `end`, exclusive."""

    name: str
    start: int
    end: int


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """What a message replies to, as far as it was known: shown above it."""

    user_id: str
    username: str
    text: str  # at most PARENT_CHARACTERS


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted message. In the outbox a JSON array of these is one log entry."""

    message_id: str
    stream_id: str
    timestamp: int  # Unix milliseconds
    user_id: str
    username: str
    message: str
    badges: list[str] = []
    emotes: list[Emote] = []
    reply_to: str | msgspec.UnsetType = msgspec.UNSET
    parent: Parent | msgspec.UnsetType = msgspec.UNSET
    mentions: list[str] | msgspec.UnsetType = msgspec.UNSET  # names of users, without @


class ClientFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may send: type "message" (message, nonce, reply_to) or "auth" (token)."""

    type: str
    message: str = ""
    nonce: str = ""
    reply_to: str = ""
    token: str = ""


class ChatPost(msgspec.Struct, frozen=True, kw_only=True):
    """Body of POST /streams/{id}/chat and of the request that carries it to an edge."""

    user_id: str
    message: str
    stream_id: str = ""
    username: str = ""
    badges: list[str] = []
    nonce: str = ""  # the same message with the same nonce is posted once


class ChatPosted(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a ChatPost: either the first two fields or a code with its HTTP status."""

    message_id: str = ""
    timestamp: int = 0
    code: str = ""
    detail: str = ""
    status: int = 201
    retry_after_s: float = 0.0
    held: bool = False  # a moderator looks at it first


class CloseCode(enum.IntEnum):
    """WebSocket close codes. Clients retry or not by these numbers."""

    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_TEXT = 1007
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    TOKEN_INVALID = 4001
    BANNED = 4003
    UNKNOWN_ROOM = 4004
    TOO_SLOW = 4008
    DRAINING = 4009
    TOO_MANY_CONNECTIONS = 4029


class ErrorCode(enum.StrEnum):
    """`code` of an error frame or problem document."""

    TOO_LONG = "too_long"
    EMPTY = "empty"
    INVALID_FRAME = "invalid_frame"
    UNKNOWN_TYPE = "unknown_type"
    NOT_AUTHENTICATED = "not_authenticated"
    BANNED = "banned"
    RATE_LIMITED = "rate_limited"
    UNKNOWN_ROOM = "unknown_room"
    UNAVAILABLE = "unavailable"
    TIMED_OUT = "timed_out"
    MUTED = "muted"
    SUBSCRIBERS_ONLY = "subscribers_only"
    FOLLOWERS_ONLY = "followers_only"
    SLOW_MODE = "slow_mode"
    EMOTE_ONLY = "emote_only"
    NOT_UNIQUE = "not_unique"
    BLOCKED_TERM = "blocked_term"
    LINKS_NOT_ALLOWED = "links_not_allowed"
    SPAM = "spam"
    ROOM_BUSY = "room_busy"
    NOT_ALLOWED = "not_allowed"
    UNKNOWN_COMMAND = "unknown_command"
    UNKNOWN_USER = "unknown_user"
    IS_BANNED = "is_banned"
    UNKNOWN_MESSAGE = "unknown_message"
    INVALID_ACTION = "invalid_action"
