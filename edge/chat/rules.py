"""Who may say what: the checks between a client's words and the log."""

import asyncio
import dataclasses
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from appliance.contracts.chat import PARENT_CHARACTERS, ChatMessage, ErrorCode, Parent
from appliance.contracts.errors import BadInputError, NearcastError, RateLimitedError
from appliance.contracts.ids import is_uuid7, unix_ms, uuid7
from appliance.contracts.moderation import EVERY_ROOM, EventKind, ModerationRequest, Modes, RoomEvent, TermKind
from appliance.contracts.nonces import Nonces, at_time_of, derived, digest_of, id_tail, numbered
from appliance.contracts.room_state import kept_terms
from appliance.runtime.clock import now_ms
from appliance.runtime.ids import new_id
from edge.chat import commands, spam
from edge.chat.emotes import find_emotes, find_mentions, only_emotes
from edge.chat.filters import Filter
from edge.chat.index import Place
from edge.chat.journal import Said
from edge.chat.limits import SharedLimit
from edge.chat.log import ChatLog
from edge.chat.metrics import Tally
from edge.chat.moderator import Moderator
from edge.chat.permissions import check_modes, check_restriction, check_words
from edge.chat.quotas import Quotas
from edge.chat.ranks import Author, Rank
from edge.chat.states import RoomStates, Standing
from edge.chat.talk import Talk
from edge.chat.text import clean, shorten

_DESKS = 2_000
_FAST = frozenset(("bot",))  # badges of users who may write as fast as a moderator
_FASTER = 5
_DONE = "done"
_HELD_EACH = 10  # messages of a user that wait: nobody pushes those of others out of the queue
_SAID = ("target", "message_id", "seconds", "reason", "text", "value")  # what an action says besides its name
_encoder = msgspec.json.Encoder()


@dataclasses.dataclass(frozen=True, slots=True)
class Accepted:
    """A message or a command on its way to the log; `durable` ends when it is there, or with UnavailableError.

    `held`: a moderator looks at it first. `notice`: the answer of a command, for its author.
    """

    message_id: str
    timestamp: int
    durable: asyncio.Future[None]
    held: bool = False
    notice: str = ""


class _Desk:
    """What the rules know of a room besides its state; made again when it is forgotten."""

    __slots__ = ("emotes", "filter", "spam", "talk", "versions")

    def __init__(self) -> None:
        self.talk = Talk()
        self.spam = spam.SpamScore()
        self.filter = Filter(())
        self.emotes: frozenset[str] = frozenset()
        self.versions = (-1, -1)


class Rules:
    """Accepts messages. Everything is decided at once: only durability takes time.

    `find(room_id, message_id)` looks for a message in memory; `nonces` knows what the log has.
    """

    def __init__(
        self,
        log: ChatLog,
        limit: SharedLimit,
        quotas: Quotas,
        states: RoomStates,
        moderator: Moderator,
        tally: Tally,
        find: Callable[[str, str], ChatMessage | None],
        nonces: Nonces,
    ) -> None:
        self.moderator = moderator
        self.states = states
        self._log = log
        self._limit = limit
        self._quotas = quotas
        self._tally = tally
        self._find = find
        self._nonces = nonces
        self._trying: dict[str, Accepted] = {}  # what has a nonce and waits for the log
        self._desks: OrderedDict[str, _Desk] = OrderedDict()

    def accept(self, place: Place, author: Author, text: str, reply_to: str = "", nonce: str = "") -> Accepted:
        """Takes a message, or the event of a slash command, into the log.

        What comes again with its nonce within ten minutes is accepted as what it was before, whichever gateway of
        the edge took it then: nothing is said or done twice.

        Raises BadInputError (empty, too_long, invalid_frame, blocked_term, links_not_allowed, spam), ForbiddenError
        (banned, timed_out, muted, subscribers_only, followers_only, emote_only), RateLimitedError (rate_limited,
        slow_mode, not_unique, room_busy) and UnavailableError, the last two with `retry_after_s`; what a command
        raises is in Moderator.act.
        """
        try:
            return self._accept(place, author, text, reply_to, nonce)
        except NearcastError as error:
            self.refused(error)
            raise

    def act(self, place: Place, author: Author, wanted: ModerationRequest, nonce: str = "") -> Accepted:
        """Takes the event of an action into the log; as `accept`, and what Moderator.act raises."""
        now = now_ms()
        said = _encoder.encode([wanted.action, *(getattr(wanted, name) for name in _SAID)]).decode()
        try:
            digest = digest_of(author.user_id, place.room_id, nonce, said) if nonce else b""
            return self._done_before(digest, now) or self._act(place, author, wanted, digest, now)
        except NearcastError as error:
            self.refused(error)
            raise

    def refused(self, error: NearcastError) -> None:
        """Counts a refusal."""
        self._tally.refused[str(error.code)] += 1

    def heard(self, room_id: str, said: Said) -> None:
        """A message that any gateway of the edge took."""
        self._desk(room_id).talk.said(said.user_id, said.message, said.timestamp)

    def first_of(self, accepted: Accepted) -> tuple[str, int]:
        """The id and time (ms) of what is durable now: of its first try, if there were several."""
        first = self._first(accepted.message_id, held=accepted.held)
        if first in ("", accepted.message_id):
            return accepted.message_id, accepted.timestamp
        return first, unix_ms(first)

    def _first(self, message_id: str, *, held: bool) -> str:
        """The id of the first try of a message that was said, or held; empty when there is none in the log."""
        if not held:
            return self._nonces.known(message_id)
        event_id = self._nonces.known(derived(message_id, EventKind.HELD))
        return at_time_of(event_id, message_id) if event_id else ""

    def _again(self, message_id: str, notice: str = "") -> Accepted | None:
        """What became of an earlier try of the same message, or of the action that ends with `notice`."""
        waiting = self._trying.get(id_tail(message_id))
        if waiting is not None:
            return waiting
        for held in (False,) if notice else (False, True):
            first = self._first(message_id, held=held)
            if first:
                return Accepted(first, unix_ms(first), _done(), held=held, notice=notice)
        return None

    def _try(self, accepted: Accepted) -> Accepted:
        """Remembers it until it is durable or refused."""
        key = id_tail(accepted.message_id)
        self._trying[key] = accepted
        accepted.durable.add_done_callback(lambda _: self._trying.pop(key, None))
        return accepted

    def _accept(self, place: Place, author: Author, text: str, reply_to: str, nonce: str) -> Accepted:
        now = now_ms()
        standing = self.states.standing(place.room_id, author.user_id, now)
        rank = author.rank(place, standing)
        if rank < Rank.OWNER:
            check_restriction(standing, now)
        text = clean(text)
        if commands.is_command(text):
            return self._command(place, author, rank, text, nonce, now)
        if reply_to and not is_uuid7(reply_to):
            raise BadInputError("reply_to is not a message id", code=ErrorCode.INVALID_FRAME)
        message_id = numbered(now, author.user_id, place.room_id, nonce, text) if nonce else new_id()
        again = self._again(message_id) if nonce else None
        if again is not None:
            return again
        desk = self._desk(place.room_id)
        modes = self.states.modes(place.room_id)
        check_modes(modes, standing, rank, now)
        emotes = find_emotes(text, desk.emotes)
        is_emotes = modes.emote_only and only_emotes(text, emotes)
        check_words(modes, rank, desk.talk, author.user_id, text, now, only_emotes=is_emotes)
        self._check_rate(place, author, rank, now)
        verdict = self._verdict(desk, modes, author, rank, text, now)
        message = self._message(message_id, place, author, standing, text, reply_to, now)
        message = msgspec.structs.replace(message, emotes=emotes)
        if verdict is not None:
            accepted = self._hold(place, message, modes, verdict)
        else:
            accepted = Accepted(message.message_id, now, self._log.submit(place.room_id, message))
            desk.talk.said(author.user_id, text, now)
        return self._try(accepted) if nonce else accepted

    def _command(self, place: Place, author: Author, rank: Rank, text: str, nonce: str, now: int) -> Accepted:
        if commands.is_help(text):
            return Accepted(new_id(), now, _done(), notice=commands.help_text(text, rank))
        digest = digest_of(author.user_id, place.room_id, nonce, text) if nonce else b""
        before = self._done_before(digest, now)
        if before is not None:
            return before
        self._check_rate(place, author, rank, now)
        return self._act(place, author, commands.parse(text), digest, now)

    def _done_before(self, digest: bytes, now: int) -> Accepted | None:
        return self._again(uuid7(now, digest), _DONE) if digest else None

    def _act(self, place: Place, author: Author, wanted: ModerationRequest, digest: bytes, now: int) -> Accepted:
        acted = self.moderator.act(place, author, wanted, now, digest)
        event_id = acted.event.event_id
        accepted = Accepted(event_id, unix_ms(event_id), acted.durable, notice=_DONE)
        return self._try(accepted) if digest else accepted

    def _check_rate(self, place: Place, author: Author, rank: Rank, now: int) -> None:
        fast = rank >= Rank.MODERATOR or not _FAST.isdisjoint(author.badges)
        wait_s = self._limit.take(author.user_id, now, _FASTER if fast else 1)
        if wait_s:
            raise RateLimitedError("you are writing too fast", code=ErrorCode.RATE_LIMITED, retry_after_s=wait_s)
        wait_s = self._quotas.take(place.room_id, now / 1000)
        if wait_s:
            raise RateLimitedError("too much is being written", code=ErrorCode.ROOM_BUSY, retry_after_s=wait_s)

    def _verdict(
        self, desk: _Desk, modes: Modes, author: Author, rank: Rank, text: str, now: int
    ) -> BadInputError | None:
        """Why the message should not be shown, None when it may be."""
        if rank >= Rank.MODERATOR:
            return None
        if desk.filter.blocks(text):
            return BadInputError("this room does not want these words", code=ErrorCode.BLOCKED_TERM)
        if desk.filter.forbids_links(text, modes.links, rank):
            return BadInputError("links are not allowed here", code=ErrorCode.LINKS_NOT_ALLOWED)
        if desk.spam.score(author.user_id, text, now, shield=modes.shield) >= spam.LIMIT:
            return BadInputError("you have written that often enough", code=ErrorCode.SPAM)
        return None

    def _hold(self, place: Place, message: ChatMessage, modes: Modes, verdict: BadInputError) -> Accepted:
        if not modes.hold or self.states.held_of(place.room_id, message.user_id) >= _HELD_EACH:
            raise verdict
        self._tally.held[str(verdict.code)] += 1
        event = RoomEvent(
            event=EventKind.HELD,
            event_id=derived(message.message_id, EventKind.HELD),
            room=place.room_id,
            edge_id=self.moderator.edge_id,
            timestamp=message.timestamp,
            target_id=message.user_id,
            target=message.username,
            message_id=message.message_id,
            message=message,
            reason=str(verdict.code),
        )
        return Accepted(message.message_id, message.timestamp, self._log.submit_event(event), held=True)

    def _message(
        self,
        message_id: str,
        place: Place,
        author: Author,
        standing: Standing,
        text: str,
        reply_to: str,
        now: int,
    ) -> ChatMessage:
        parent = self._find(place.room_id, reply_to) if reply_to else None
        return ChatMessage(
            message_id=message_id,
            stream_id=place.stream_id,
            timestamp=now,
            user_id=author.user_id,
            username=author.username,
            message=text,
            badges=author.badges_in(place, standing, now),
            reply_to=reply_to or msgspec.UNSET,
            parent=msgspec.UNSET if parent is None else parent_of(parent),
            mentions=find_mentions(text) or msgspec.UNSET,
        )

    def _desk(self, room_id: str) -> _Desk:
        desk = self._desks.get(room_id)
        if desk is None:
            desk = self._desks[room_id] = _Desk()
            if len(self._desks) > _DESKS:
                self._desks.popitem(last=False)
        self._desks.move_to_end(room_id)
        versions = (self.states.version(EVERY_ROOM), self.states.version(room_id))
        if desk.versions != versions:
            desk.versions = versions
            terms = [*kept_terms(self.states.record(EVERY_ROOM)), *kept_terms(self.states.record(room_id))]
            desk.filter = Filter(terms)
            desk.emotes = frozenset(text for kind, text in terms if kind == TermKind.EMOTE)
        return desk


def _done() -> asyncio.Future[None]:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


def parent_of(message: ChatMessage) -> Parent:
    """What is shown of a message above those that reply to it."""
    return Parent(
        user_id=message.user_id,
        username=message.username,
        text=shorten(message.message, PARENT_CHARACTERS),
    )
