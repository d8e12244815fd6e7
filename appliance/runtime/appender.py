"""Pipelined appends to a durable log, all subjects of a process on one tick.

A writer of few messages, each of which somebody waits for, has no tick: they leave with the loop's next turn.

Each subject has at most one append in flight, so that order holds through re-sends and every append can be
fenced by the sequence of the one before; subjects do not wait for each other. One wake-up for many
messages is what makes it cheap (a publish that is awaited by itself costs two to six times as much).

A server that is killed may lose the last messages of a log that it writes behind (`StreamSpec.synced`), although
it acknowledged them. So what was acknowledged is kept for a moment, and appended again where the log ends with it.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from appliance.contracts.errors import NearcastError, UnavailableError, WrongSequenceError
from appliance.runtime.acknowledgements import acknowledged_sequence
from appliance.runtime.answers import Answers
from appliance.runtime.bus import Bus, LogMessage
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import Tally, counter, gauge
from appliance.runtime.pull import status_of
from appliance.runtime.tasks import Tasks

TICK_S: Final = 0.006  # between two ticks, at least: fewer cost less, but a message waits for one
_PROMPT_S: Final = 0.002  # and where `before_tick` wants one sooner
_IDLE_S = 0.1  # between two ticks, at most
_ROUNDED_S: Final = 0.0006  # more than uvloop may be early: its timers are rounded to milliseconds
_MEASURE_S: Final = 0.6
_RESEND_S: Final = 1.0
_KEEP_S: Final = 2.0  # acknowledged appends of a subject that are kept: far more than is written behind
_KEEP: Final = 256
_LOST_TWICE_S: Final = 0.05  # until what was lost again is appended once more: longer each time
_LOST_AGAIN_S: Final = 1.0
_DOUBT_S: Final = 30.0  # what was acknowledged so long ago is on the disk, and perhaps no longer in the log
_FORGET_S = 300.0  # a fenced subject nobody has appended to for so long has no writer any more
_APPENDED: Final = Tally(counter("nearcast_log_appended_bytes_total", "Bytes acknowledged by the part log."))
_RESTORED: Final = counter("nearcast_log_restored_total", "Appends that a killed server had acknowledged and lost.")
_RESENT: Final = counter("nearcast_log_resent_total", "Appends sent again for want of an acknowledgement.")
_PENDING: Final = gauge("nearcast_log_pending_bytes", "Bytes not yet acknowledged by the part log.")


class _Append:
    """One message on its way into the log."""

    __slots__ = ("at", "data", "done", "expect_last", "headers", "losses", "message_id", "sequence")

    def __init__(
        self,
        data: bytes,
        message_id: str,
        headers: Mapping[str, str],
        expect_last: int | None,
        done: "asyncio.Future[int]",
    ) -> None:
        self.data = data
        self.message_id = message_id
        self.headers = headers
        self.expect_last = expect_last
        self.done = done
        self.losses = 0  # how often it was acknowledged and lost
        self.sequence = 0  # once it is acknowledged
        self.at = 0.0  # when that was


class _Lane:
    """One subject: its queue, the append in flight, and the last sequence if it is fenced."""

    __slots__ = (
        "flying", "in_doubt", "kept", "last", "queue", "rests_until",
        "sent_at", "subject", "token", "tries", "used_at",
    )  # fmt: skip

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.queue: deque[_Append] = deque()
        self.flying = False
        self.token = 0
        self.sent_at = 0.0
        self.used_at = 0.0  # when something was appended last
        self.tries = 0
        self.last: int | None = None
        self.kept: deque[_Append] = deque()  # acknowledged lately, oldest first
        self.rests_until = 0.0  # nothing is sent before
        self.in_doubt = False  # the server came back: the log may end before what it acknowledged


class Appender:
    """The one writer of a process to one account's logs. `start` before use, `close` when done."""

    def __init__(self, bus: Bus, *, tick_s: float = TICK_S) -> None:
        """`tick_s`: between two ticks, at least; 0: an append leaves with the loop's next turn."""
        self._bus = bus
        self._loop = asyncio.get_running_loop()  # to ask for it each time is a system call
        self._tick_s = tick_s
        self._lanes: dict[str, _Lane] = {}
        self._busy: dict[str, _Lane] = {}  # those with something to send or to look at, by subject
        self._tokens: dict[int, _Lane] = {}
        self._count = 0
        self.pending_bytes = 0  # queued or in flight
        self._space = asyncio.Event()
        self._before_tick: list[Callable[[], float]] = []
        self._ticked_at = self._measured_at = float("-inf")
        self._alarm: asyncio.Handle | None = None  # of the next tick; None before the first and during one
        self._due_at = 0.0  # when that comes
        self._is_closed = False
        self._inbox = ""
        self._returns = 0  # of the connection, as far as was acted upon
        self._tasks = Tasks()
        self._looking: asyncio.Task[None] | None = None
        self._log = get_logger("appender")

    async def start(self) -> None:
        """Begins to send."""
        self._inbox = self._bus.client.new_inbox()
        await self._bus.client.subscribe(f"{self._inbox}.*", cb=self._on_message)
        self._bus.answers.hear(self._inbox, self._on_answers)
        self._returns = self._bus.reconnects
        self._bus.add_reconnected(self.tick_soon)
        self._alarm = self._loop.call_soon(self._tick)

    def before_tick(self, callback: Callable[[], float]) -> None:
        """`callback` runs before each tick: what it appends leaves with it, so putting work off until then is free.

        It returns when it wants the next tick, in seconds of the loop's clock, be it before `tick_s` have passed,
        and must not raise.
        """
        self._before_tick.append(callback)

    def tick_soon(self) -> None:
        """The next tick comes as early as one may."""
        at = self._ticked_at + self._tick_s
        if self._alarm is not None and at < self._due_at:
            self._alarm.cancel()
            self._tick_at(at)

    def append(
        self,
        subject: str,
        data: bytes,
        *,
        message_id: str,
        headers: Mapping[str, str],
        expect_last: int | None = None,
    ) -> asyncio.Future[int]:
        """Queues an append behind the earlier ones of its subject; the future is the stream sequence.

        `expect_last` starts a fenced run of the subject: this append, and by itself each later one, fails
        with WrongSequenceError when somebody else has written. Never blocks: the caller watches
        `pending_bytes`.
        """
        loop = self._loop
        future: asyncio.Future[int] = loop.create_future()
        lane = self._lanes.get(subject)
        if lane is None:
            lane = self._lanes[subject] = _Lane(subject)
        lane.used_at = loop.time()
        lane.queue.append(_Append(data, message_id, headers, expect_last, future))
        self._busy[subject] = lane
        self._account(len(data))
        self.tick_soon()
        return future

    async def drained(self, below_bytes: int = 0) -> None:
        """Returns once no more than `below_bytes` are pending."""
        while self.pending_bytes > below_bytes:
            self._space.clear()
            await self._space.wait()

    async def close(self, deadline_s: float = 5.0) -> None:
        """Waits for acknowledgements, at most `deadline_s`, then stops."""
        try:
            async with asyncio.timeout(deadline_s):
                await self.drained()
        except TimeoutError:
            self._log.error("appends_lost", bytes=self.pending_bytes)
        self._bus.remove_reconnected(self.tick_soon)
        self._bus.answers.ignore(self._inbox)
        self._is_closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self._tasks.close()
        self._measure()

    def _account(self, change: int) -> None:
        self.pending_bytes += change
        if change < 0:
            self._space.set()

    def _measure(self) -> None:
        _PENDING.set(self.pending_bytes)
        _APPENDED.flush()

    def _tick(self) -> None:
        """Lets everybody append, and sends what may be sent. Then it waits for the next time."""
        loop, self._alarm = self._loop, None
        due = loop.time() + _IDLE_S
        try:
            for callback in self._before_tick:
                due = min(due, callback())
            now = loop.time()
            if now - self._measured_at >= _MEASURE_S:
                self._measured_at = now
                self._measure()
                self._forget(now)
            self._serve_all(now)
        finally:
            self._ticked_at = loop.time()
            if not self._is_closed:
                self._tick_at(max(due, self._ticked_at + min(_PROMPT_S, self._tick_s)))

    def _tick_at(self, due: float) -> None:
        """The next tick comes then or a moment later: one that is early finds nothing to do."""
        self._due_at = due
        if due <= self._loop.time():
            self._alarm = self._loop.call_soon(self._tick)
        else:
            self._alarm = self._loop.call_at(due + _ROUNDED_S, self._tick)

    def _serve_all(self, now: float) -> None:
        if not self._bus.connected:
            return
        self._doubt_after_a_return()
        for lane in list(self._busy.values()):
            if lane.flying:
                if now - lane.sent_at > _RESEND_S:
                    _RESENT.inc()
                    self._send(lane)
            elif lane.in_doubt:
                if self._looking is None or self._looking.done():
                    self._looking = self._tasks.start(self._look_at_all(), "appender-look")
            elif lane.queue:
                self._send(lane)
            else:
                del self._busy[lane.subject]
        self._bus.flush()

    def _forget(self, now: float) -> None:
        for subject, lane in list(self._lanes.items()):
            if subject not in self._busy and _is_forgotten(lane, now):
                self._tokens.pop(lane.token, None)
                del self._lanes[subject]

    def _send(self, lane: _Lane) -> None:
        """Queues the lane's next append for the socket. The caller flushes."""
        if not self._bus.connected:  # the library would take it and throw it away at the reconnect
            return
        self._doubt_after_a_return()
        now = self._loop.time()
        if lane.in_doubt or now < lane.rests_until:  # a later tick looks
            return
        item = lane.queue[0]
        self._tokens.pop(lane.token, None)
        self._count += 1
        lane.token = self._count
        lane.flying = True
        lane.tries += 1
        lane.sent_at = now
        self._tokens[lane.token] = lane
        try:
            self._bus.post(
                lane.subject,
                item.data,
                reply=f"{self._inbox}.{lane.token}",
                message_id=item.message_id,
                headers=item.headers,
                expect_last=item.expect_last if item.expect_last is not None else lane.last,
            )
        except (nats.errors.Error, OSError) as error:
            self._log.debug("append_waits", error=repr(error))

    async def _on_message(self, message: Msg) -> None:
        """What comes to the inbox the usual way."""
        token = message.subject.rsplit(".", 1)[1]
        if not token.isdecimal():
            return
        if not status_of(message):
            self._on_answers([(int(token), message.data)])
        elif (lane := self._tokens.pop(int(token), None)) is not None:
            # 503: no stream listens yet; the tick sends it again
            lane.sent_at = self._loop.time() - _RESEND_S + 0.1

    def _on_answers(self, answers: Answers) -> None:
        for token, data in answers:
            lane = self._tokens.pop(token, None)
            if lane is not None:
                self._on_answer(lane, data)
        self._bus.flush()

    def _on_answer(self, lane: _Lane, data: bytes) -> None:
        try:
            sequence = acknowledged_sequence(data)
        except WrongSequenceError as error:
            self._tasks.start(self._on_wrong_sequence(lane, error), "appender-wrong-sequence")
        except NearcastError as error:
            self._log.warning("append_refused", subject=lane.subject, error=error.detail)
            lane.sent_at = self._loop.time() - _RESEND_S + 0.2
        else:
            self._finish(lane, sequence)

    async def _on_wrong_sequence(self, lane: _Lane, error: NearcastError) -> None:
        """Somebody else wrote, or our own first try did, or the log has lost its end."""
        if lane.tries > 1 or lane.kept:
            try:
                last = await self._last_of(lane)
            except UnavailableError:
                return
            if last is not None and last.headers.get("Nats-Msg-Id") == lane.queue[0].message_id:
                self._finish(lane, last.seq)
                self._bus.flush()
                return
            if self._restore(lane, last):
                self._send(lane)
                self._bus.flush()
                return
        items, lane.queue = list(lane.queue), deque()
        lane.flying, lane.last, lane.tries = False, None, 0
        for item in items:
            self._account(-len(item.data))
            if not item.done.done():
                item.done.set_exception(error)
                item.done.exception()  # seen: callers that only watch `pending_bytes` need not await every future

    async def _look_at_all(self) -> None:
        for lane in list(self._busy.values()):
            if lane.in_doubt and not lane.flying:
                await self._look(lane)

    async def _look(self, lane: _Lane) -> None:
        """Whether the log still ends with what was acknowledged last; sends again what it lacks."""
        try:
            last = await self._last_of(lane)
        except UnavailableError:
            return
        lane.in_doubt = False
        self._restore(lane, last)
        if lane.queue:
            self._send(lane)
            self._bus.flush()

    def _restore(self, lane: _Lane, last: LogMessage | None) -> bool:
        """Puts what was acknowledged behind `last` before what waits; False when nothing was lost."""
        if not lane.kept or (last is not None and last.seq >= lane.kept[-1].sequence):
            return False
        identity = last.headers.get("Nats-Msg-Id", "") if last is not None else ""
        known = [item.message_id for item in lane.kept]
        if identity and identity not in known and last is not None and last.seq >= lane.kept[0].sequence:
            return False  # somebody else's stands where ours did
        lost = list(lane.kept)[known.index(identity) + 1 if identity in known else 0 :]
        if not lost:
            return False
        self._log.warning("acknowledged_appends_lost", subject=lane.subject, count=len(lost))
        _RESTORED.inc(len(lost))
        losses = max(item.losses for item in lost)
        if losses:  # a server that cannot write to its disk acknowledges everything and keeps nothing
            rest_s = min(_LOST_AGAIN_S, _LOST_TWICE_S * 2**losses) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            lane.rests_until = self._loop.time() + rest_s
        for item in lost:
            lane.kept.pop()
            item.expect_last = None
            item.losses += 1
            self._account(len(item.data))
        lane.queue.extendleft(reversed(lost))
        lost[0].expect_last = last.seq if last is not None else 0
        lane.flying, lane.tries = False, 0
        return True

    async def _last_of(self, lane: _Lane) -> LogMessage | None:
        return await self._bus.last_message(await self._stream_of(lane.subject), lane.subject)

    async def _stream_of(self, subject: str) -> str:
        names = (await self._bus.api("STREAM.NAMES", {"subject": subject}))["streams"]
        if not names:
            raise UnavailableError("no stream takes the subject")
        return str(names[0])

    def _finish(self, lane: _Lane, sequence: int) -> None:
        item = lane.queue.popleft()
        lane.flying, lane.tries = False, 0
        if item.expect_last is not None or lane.last is not None:
            lane.last = sequence
        self._keep(lane, item, sequence)
        self._account(-len(item.data))
        _APPENDED.add(len(item.data))
        if not item.done.done():
            item.done.set_result(sequence)
        if lane.queue:
            self._send(lane)

    def _keep(self, lane: _Lane, item: _Append, sequence: int) -> None:
        item.sequence, item.at = sequence, lane.sent_at
        lane.kept.append(item)
        while len(lane.kept) > _KEEP or item.at - lane.kept[0].at > _KEEP_S:
            lane.kept.popleft()

    def _doubt_after_a_return(self) -> None:
        """The server may be another one than before: what it acknowledged is looked at before more is sent."""
        if self._returns == self._bus.reconnects:
            return
        self._returns = self._bus.reconnects
        now = self._loop.time()
        for lane in self._lanes.values():
            lane.sent_at = lane.rests_until = 0.0
            if lane.kept and now - lane.kept[-1].at > _DOUBT_S:
                lane.kept.clear()
            if lane.kept:  # what was in flight waits as well
                lane.in_doubt, lane.flying = True, False
                self._busy[lane.subject] = lane


def _is_forgotten(lane: _Lane, now: float) -> bool:
    """Whether nothing of the lane is needed any more; one that is fenced is, while its writer may live."""
    return now - lane.used_at > (_KEEP_S if lane.last is None else _FORGET_S)
