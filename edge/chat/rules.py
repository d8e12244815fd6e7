"""Who may say what: the checks between a client's words and the log."""

import asyncio
import dataclasses

import msgspec

from appliance.contracts.chat import MAX_CHARACTERS, ChatMessage, ErrorCode
from appliance.contracts.errors import BadInputError, NearcastError, RateLimitedError
from appliance.contracts.ids import is_uuid7
from appliance.runtime.clock import now_ms
from appliance.runtime.ids import new_id
from edge.chat.index import Place
from edge.chat.limits import SharedLimit
from edge.chat.log import ChatLog
from edge.chat.metrics import Tally

_BROADCASTER = "broadcaster"


@dataclasses.dataclass(frozen=True, slots=True)
class Author:
    """Whoever speaks."""

    user_id: str
    username: str
    badges: tuple[str, ...] = ()

    def document(self, place: Place) -> dict[str, object]:
        """As clients see it."""
        return {"user_id": self.user_id, "username": self.username, "badges": self.badges_in(place)}

    def badges_in(self, place: Place) -> list[str]:
        """The author's own badges and those that the room gives."""
        badges = [badge for badge in self.badges if badge != _BROADCASTER]
        return [_BROADCASTER, *badges] if self.user_id == place.owner_id else badges


@dataclasses.dataclass(frozen=True, slots=True)
class Accepted:
    """A message on its way to the log; `durable` ends when it is there, or with UnavailableError."""

    message_id: str
    timestamp: int
    durable: asyncio.Future[None]


class Rules:
    """Accepts messages. Everything is decided at once: only durability takes time."""

    def __init__(self, log: ChatLog, limit: SharedLimit, tally: Tally) -> None:
        self._log = log
        self._limit = limit
        self._tally = tally

    def accept(self, place: Place, author: Author, text: str, reply_to: str = "") -> Accepted:
        """Takes a message into the log. Raises BadInputError (empty, too_long, invalid_frame),
        RateLimitedError and UnavailableError, the last two with `retry_after_s`."""
        try:
            return self._accept(place, author, text, reply_to)
        except NearcastError as error:
            self.refused(error)
            raise

    def refused(self, error: NearcastError) -> None:
        """Counts a refusal."""
        self._tally.refused[str(error.code)] += 1

    def _accept(self, place: Place, author: Author, text: str, reply_to: str) -> Accepted:
        check(text)
        if reply_to and not is_uuid7(reply_to):
            raise BadInputError("reply_to is not a message id", code=ErrorCode.INVALID_FRAME)
        now = now_ms()
        wait_s = self._limit.take(author.user_id, now)
        if wait_s:
            raise RateLimitedError("you are writing too fast", code=ErrorCode.RATE_LIMITED, retry_after_s=wait_s)
        message = ChatMessage(
            message_id=new_id(),
            stream_id=place.stream_id,
            timestamp=now,
            user_id=author.user_id,
            username=author.username,
            message=text,
            badges=author.badges_in(place),
            reply_to=reply_to or msgspec.UNSET,
        )
        return Accepted(message.message_id, now, self._log.submit(place.room_id, message))


def check(text: str) -> None:
    """Whether a text may be a message. BadInputError when it is empty or longer than 500 code points."""
    if not text.strip():
        raise BadInputError("a message needs text", code=ErrorCode.EMPTY)
    if len(text) > MAX_CHARACTERS:
        raise BadInputError(f"a message has at most {MAX_CHARACTERS} characters", code=ErrorCode.TOO_LONG)
