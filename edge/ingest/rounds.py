"""The round through all publishers of a process at each tick of the log, most of which have nothing to do in it."""

import math
from collections.abc import Iterable

from edge.ingest.session import PublisherSession


def go_round(sessions: Iterable[PublisherSession], now: float, pause_s: float) -> float:
    """Has those work whose time has come, and says when the next round is due.

    Not before `pause_s` from now, but for a publisher somebody waits for each message of. Times in seconds of the
    loop's clock.
    """
    due = prompt = math.inf
    for session in sessions:
        if session.ready_at <= now:
            session.work(now)
        if session.is_prompt:
            prompt = min(prompt, session.due_at)
        else:
            due = min(due, session.due_at)
    return min(prompt, max(due, now + pause_s))
