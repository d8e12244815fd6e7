"""Who may watch by WebRTC: judged when a viewer comes, and again and again while they watch."""

import re
from collections.abc import Callable
from typing import NamedTuple

from appliance.contracts.directory import Access, ChannelRecord
from appliance.contracts.grants import MOST_LIFE_S, UNTIL_S, Grant
from edge.access.grants import REFUSAL_WORDS, Grants, Refusal
from edge.access.paths import PREFIX
from edge.net.answers import ResourceError
from edge.protocols.http.response import Field

_GRANT = re.compile(r"[\w-]+", re.ASCII)
_LONG_S = MOST_LIFE_S + UNTIL_S  # longer than any grant is renewed for


class Ticket(NamedTuple):
    """What a viewer came with. `sid` names them to whoever counts viewers; both texts may be empty."""

    channel: str
    grant: str
    sid: str


class Admission:
    """`channel` looks one up by its name; `now_ms` gives Unix milliseconds."""

    def __init__(
        self, channel: Callable[[str], ChannelRecord | None], grants: Grants, now_ms: Callable[[], int]
    ) -> None:
        self._channel = channel
        self._grants = grants
        self._now_ms = now_ms

    def check(self, ticket: Ticket) -> None:
        """ResourceError when a viewer may not come."""
        record = self._channel(ticket.channel)
        if record is None:
            raise ResourceError(404, "unknown_channel", "There is no such channel.")
        if record.access is Access.PUBLIC:
            return
        found = self._grants.check(ticket.grant, record, self._now_ms())
        if isinstance(found, Refusal):
            status, words = REFUSAL_WORDS[found]
            ask: tuple[Field, ...] = (("WWW-Authenticate", f'Grant realm="nearcast", error="{found.value}"'),)
            fields = instead(ticket) + (ask if status == 401 else ())
            raise ResourceError(status, f"grant_{found.value}", words, fields)

    def may_stay(self, ticket: Ticket) -> bool:
        """Whether a viewer who came may go on. A session cannot be given another grant: the one it came with is
        taken for renewed until the coordinator's word ends, unless it is revoked."""
        record = self._channel(ticket.channel)
        if record is None or record.access is Access.PUBLIC:  # none: while it is copied anew
            return True
        found = self._grants.check(ticket.grant, record, self._now_ms(), late_s=_LONG_S)
        return isinstance(found, Grant) and self._now_ms() < found.until_ms


def instead(ticket: Ticket) -> tuple[Field, ...]:
    """Where else the channel can be watched."""
    prefix = f"{PREFIX}{ticket.grant}" if _GRANT.fullmatch(ticket.grant) else ""
    link = f'<{prefix}/live/{ticket.channel}/index.m3u8>; rel="alternate"; type="application/vnd.apple.mpegurl"'
    return (("Link", link),)
