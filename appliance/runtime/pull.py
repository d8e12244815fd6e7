"""Pull consumers spoken directly: the request, the status messages and the acknowledgement subject.

Source: nats-architecture-and-design ADR-37 and the server's JetStream wire API.
"""

from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg

from appliance.runtime.bus import LogMessage

NS = 1_000_000_000
PLAIN_TOKENS = 9  # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>
DOMAIN_TOKENS = 11  # the same behind $JS.ACK.<domain>.<account hash>


@dataclass(frozen=True, slots=True)
class Delivery:
    """Position of a delivered message, read from its reply subject."""

    stream_seq: int
    consumer_seq: int
    time_us: int
    pending: int


def delivery_of(reply: str) -> Delivery | None:
    """Reads an acknowledgement subject; None when it is not one."""
    tokens = reply.split(".")
    if tokens[:2] != ["$JS", "ACK"] or len(tokens) < PLAIN_TOKENS:
        return None
    tail = tokens[4:] if len(tokens) >= DOMAIN_TOKENS else tokens[2:]
    try:
        return Delivery(int(tail[3]), int(tail[4]), int(tail[5]) // 1000, int(tail[6]))
    except (ValueError, IndexError):
        return None


def status_of(message: Msg) -> int:
    """The status of a control message, 0 for a real one."""
    if message.headers and not message.data:
        status = message.headers.get("Status", "")
        return int(status) if status.isdigit() else 0
    return 0


def log_message(message: Msg, delivery: Delivery) -> LogMessage:
    """A delivered message in the form readers take."""
    return LogMessage(
        delivery.stream_seq,
        message.subject,
        message.data,
        message.headers or {},
        delivery.time_us,
        delivery.pending,
    )


def next_request(batch: int, expires_s: float, heartbeat_s: float = 0.0) -> dict[str, Any]:
    """Body of CONSUMER.MSG.NEXT."""
    body: dict[str, Any] = {"batch": batch, "expires": int(expires_s * NS)}
    if heartbeat_s:
        body["idle_heartbeat"] = int(heartbeat_s * NS)
    return body


def what_there_is(batch: int) -> dict[str, Any]:
    """Body of CONSUMER.MSG.NEXT that waits for nothing: at the log's end a status says so."""
    return {"batch": batch, "no_wait": True}
