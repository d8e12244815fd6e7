"""What the chat gateway may be told."""

import dataclasses

from appliance.contracts.chat import (
    ALL_MESSAGES_PER_MINUTE,
    PING_INTERVAL_S,
    PONG_TIMEOUT_S,
    ROOM_MESSAGES_PER_MINUTE,
    USER_MESSAGES_PER_MINUTE,
)


@dataclasses.dataclass(frozen=True, slots=True)
class ChatConfig:
    """Limits of one gateway process. Times in seconds, sizes in bytes."""

    edge_id: str
    connections: int = 20_000
    connections_per_address: int = 1000
    user_per_minute: int = USER_MESSAGES_PER_MINUTE
    room_per_minute: int = ROOM_MESSAGES_PER_MINUTE
    overall_per_minute: int = ALL_MESSAGES_PER_MINUTE
    history: int = 50  # last messages a client gets when it connects
    counters_url: str = ""  # Redis or Valkey that all gateways count in; empty: each counts alone
    handshake_s: float = 10.0  # from connect to a whole request
    unknown_s: float = 1.5  # a room not heard of is waited for: its record may be on its way
    unknown: int = 1000  # connections that wait so
    drain_s: float = 10.0  # time over which clients are sent elsewhere
    slow_s: float = 15.0  # a client that drains nothing for so long is cut
    close_s: float = 5.0  # from our close frame to the end of the connection
    ping_s: float = PING_INTERVAL_S
    pong_s: float = PONG_TIMEOUT_S
    poll_s: float = 25.0
    polls: int = 2000  # held long polls
    window_s: float = 0.02  # shortest time between two frames of a room
    batch_s: float = 0.02  # messages of a room that come within this share a log entry
    append_s: float = 5.0  # a message that is not durable by then is refused
    pending: int = 1000  # messages of this process that wait for the log
    replay: int = 2000  # newest log entries read at start
    rooms_bytes: int = 128 << 20  # messages of all rooms held in memory
    frames_per_s: float = 50.0  # frames, or lines of IRC, that a client may send, with four seconds' worth at once
    bytes_per_s: float = 64 * 1024.0
    host: str = "127.0.0.1"  # of the IRC ports
    irc_port: int | None = None  # None: it is not opened
    ircs_port: int | None = None
    irc_ping_s: float = 60.0
    irc_pong_s: float = 30.0  # a client on an IRC port that says nothing for so long after a ping is cut
    names_s: float = 10.0  # between two batches of who came and went
