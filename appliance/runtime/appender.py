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
from dataclasses import dataclass, field

import nats.errors
from nats.aio.msg import Msg

from appliance.contracts.errors import NearcastError, UnavailableError, WrongSequenceError
from appliance.runtime.bus import Bus, LogMessage, acknowledged_sequence, append_headers
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import Tally, counter, gauge
from appliance.runtime.pull import status_of
from appliance.runtime.tasks import Tasks

TICK_S = 0.006  # between two ticks, at least: fewer cost less, but a message waits for one
_PROMPT_S = 0.002  # and where `before_tick` wants one sooner
_IDLE_S = 0.1  # between two ticks, at most
_MEASURE_S = 0.6
_RESEND_S = 1.0
_KEEP_S, _KEEP = 2.0, 256  # acknowledged appends of a subject that are kept: far more than is written behind
_LOST_TWICE_S, _LOST_AGAIN_S = 0.05, 1.0  # until what was lost again is appended once more: longer each time
_DOUBT_S = 30.0  # what was acknowledged so long ago is on the disk, and perhaps no longer in the log
_FORGET_S = 300.0  # a fenced subject nobody has appended to for so long has no writer any more
_APPENDED = Tally(counter("nearcast_log_appended_bytes_total", "Bytes acknowledged by the part log."))
_RESTORED = counter("nearcast_log_restored_total", "Appends that a killed server had acknowledged and lost.")
_RESENT = counter("nearcast_log_resent_total", "Appends sent again for want of an acknowledgement.")
_PENDING = gauge("nearcast_log_pending_bytes", "Bytes not yet acknowledged by the part log.")


@dataclass(slots=True)
class _Append:
    data: bytes
    message_id: str
    headers: Mapping[str, str]
    expect_last: int | None
    done: asyncio.Future[int]
    losses: int = 0  # how often it was acknowledged and lost
    sequence: int = 0  # once it is acknowledged
    at: float = 0.0  # when that was


@dataclass(slots=True)
class _Lane:
    """One subject: its queue, the append in flight, and the last sequence if it is fenced."""

    subject: str
    queue: deque[_Append] = field(default_factory=deque)
    flying: bool = False
    token: int = 0
    sent_at: float = 0.0
    used_at: float = 0.0  # when something was appended last
    tries: int = 0
    last: int | None = None
    kept: deque[_Append] = field(default_factory=deque)  # acknowledged lately, oldest first
    rests_until: float = 0.0  # nothing is sent before
    in_doubt: bool = False  # the server came back: the log may end before what it acknowledged


class Appender:
    """The one writer of a process to one account's logs. `start` before use, `close` when done."""

    def __init__(self, bus: Bus, *, tick_s: float = TICK_S) -> None:
        """`tick_s`: between two ticks, at least; 0: an append leaves with the loop's next turn."""
        self._bus = bus
        self._loop = asyncio.get_running_loop()  # to ask for it each time is a system call
        self._tick_s = tick_s
        self._lanes: dict[str, _Lane] = {}
        self._busy: dict[str, _Lane] = {}  # those with something to send or to look at, by subject
        self._tokens: dict[str, _Lane] = {}
        self._count = 0
        self.pending_bytes = 0  # queued or in flight
        self._space = asyncio.Event()
        self._before_tick: list[Callable[[], float]] = []
        self._ticked_at = self._measured_at = float("-inf")
        self._alarm: asyncio.Handle | None = None  # ends the sleep between two ticks
        self._due_at = 0.0  # when it does
        self._slept: asyncio.Future[None] | None = None
        self._is_hurried = False  # `tick_soon` was called during a tick
        self._inbox = ""
        self._returns = 0  # of the connection, as far as was acted upon
        self._tasks = Tasks()
        self._log = get_logger("appender")

    async def start(self) -> None:
        """Begins to send."""
        self._inbox = self._bus.client.new_inbox()
        await self._bus.client.subscribe(f"{self._inbox}.*", cb=self._on_ack)
        self._returns = self._bus.reconnects
        self._bus.add_reconnected(self.tick_soon)
        self._tasks.start(self._run(), "appender")

    def before_tick(self, callback: Callable[[], float]) -> None:
        """`callback` runs before each tick: what it appends leaves with it, so putting work off until then is free.

        It returns when it wants the next tick, in seconds of the loop's clock, be it before `tick_s` have passed,
        and must not raise.
        """
        self._before_tick.append(callback)

    def tick_soon(self) -> None:
        """The next tick comes as early as one may."""
        alarm, slept = self._alarm, self._slept
        if alarm is None or slept is None:
            self._is_hurried = True
            return
        at = self._ticked_at + self._tick_s
        if at < self._due_at:
            alarm.cancel()
            self._due_at = at
            self._alarm = self._loop.call_at(at, _end, slept)

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
        await self._tasks.close()
        self._measure()

    def _account(self, change: int) -> None:
        self.pending_bytes += change
        if change < 0:
            self._space.set()

    def _measure(self) -> None:
        _PENDING.set(self.pending_bytes)
        _APPENDED.flush()

    async def _run(self) -> None:
        loop = self._loop
        while True:
            now = loop.time()
            due = now + _IDLE_S
            for callback in self._before_tick:
                due = min(due, callback())
            if now - self._measured_at >= _MEASURE_S:
                self._measured_at = now
                self._measure()
                self._forget(now)
            self._doubt_after_a_return()
            self._is_hurried = False
            for lane in list(self._busy.values()):
                await self._serve(lane, loop.time())
            self._ticked_at = loop.time()
            due = max(due, self._ticked_at + min(_PROMPT_S, self._tick_s))
            await self._sleep_until(min(due, self._ticked_at + self._tick_s) if self._is_hurried else due)

    async def _sleep_until(self, due: float) -> None:
        loop = self._loop
        self._slept = loop.create_future()
        self._due_at = due
        self._alarm = loop.call_at(due, _end, self._slept)
        try:
            await self._slept
        finally:
            self._alarm.cancel()
            self._alarm = self._slept = None

    async def _serve(self, lane: _Lane, now: float) -> None:
        if lane.flying:
            if now - lane.sent_at > _RESEND_S:
                _RESENT.inc()
                await self._send(lane)
        elif lane.in_doubt:
            await self._look(lane)
        elif lane.queue:
            await self._send(lane)
        else:
            del self._busy[lane.subject]

    def _forget(self, now: float) -> None:
        for subject, lane in list(self._lanes.items()):
            if subject not in self._busy and _is_forgotten(lane, now):
                self._tokens.pop(str(lane.token), None)
                del self._lanes[subject]

    async def _send(self, lane: _Lane) -> None:
        if not self._bus.connected:  # the library would take it and throw it away at the reconnect
            return
        self._doubt_after_a_return()
        if lane.in_doubt or self._loop.time() < lane.rests_until:  # a later tick looks
            return
        item = lane.queue[0]
        expect = item.expect_last if item.expect_last is not None else lane.last
        self._tokens.pop(str(lane.token), None)
        self._count += 1
        lane.token = self._count
        lane.flying = True
        lane.tries += 1
        lane.sent_at = self._loop.time()
        self._tokens[str(lane.token)] = lane
        headers = append_headers(item.message_id, item.headers, expect)
        try:
            await self._bus.send(lane.subject, item.data, reply=f"{self._inbox}.{lane.token}", headers=headers)
        except (nats.errors.Error, OSError) as error:
            self._log.debug("append_waits", error=repr(error))

    async def _on_ack(self, message: Msg) -> None:
        lane = self._tokens.pop(message.subject.rsplit(".", 1)[1], None)
        if lane is None:
            return
        if status_of(message):  # 503: no stream listens yet; the tick sends it again
            lane.sent_at = self._loop.time() - _RESEND_S + 0.1
            return
        try:
            sequence = acknowledged_sequence(message.data)
        except WrongSequenceError as error:
            await self._on_wrong_sequence(lane, error)
        except UnavailableError as error:
            self._log.warning("append_refused", subject=lane.subject, error=error.detail)
            lane.sent_at = self._loop.time() - _RESEND_S + 0.2
        else:
            await self._finish(lane, sequence)

    async def _on_wrong_sequence(self, lane: _Lane, error: NearcastError) -> None:
        """Somebody else wrote, or our own first try did, or the log has lost its end."""
        if lane.tries > 1 or lane.kept:
            try:
                last = await self._last_of(lane)
            except UnavailableError:
                return
            if last is not None and last.headers.get("Nats-Msg-Id") == lane.queue[0].message_id:
                await self._finish(lane, last.seq)
                return
            if self._restore(lane, last):
                await self._send(lane)
                return
        items, lane.queue = list(lane.queue), deque()
        lane.flying, lane.last, lane.tries = False, None, 0
        for item in items:
            self._account(-len(item.data))
            if not item.done.done():
                item.done.set_exception(error)
                item.done.exception()  # seen: callers that only watch `pending_bytes` need not await every future

    async def _look(self, lane: _Lane) -> None:
        """Whether the log still ends with what was acknowledged last; sends again what it lacks."""
        try:
            last = await self._last_of(lane)
        except UnavailableError:
            return
        lane.in_doubt = False
        self._restore(lane, last)
        if lane.queue:
            await self._send(lane)

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

    async def _finish(self, lane: _Lane, sequence: int) -> None:
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
            await self._send(lane)

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


def _end(sleep: "asyncio.Future[None]") -> None:
    if not sleep.done():
        sleep.set_result(None)


def _is_forgotten(lane: _Lane, now: float) -> bool:
    """Whether nothing of the lane is needed any more; one that is fenced is, while its writer may live."""
    return now - lane.used_at > (_KEEP_S if lane.last is None else _FORGET_S)
