"""The round through all publishers of a process at each tick of the log, most of which have nothing to do in it."""

import math
from collections.abc import Iterable
from typing import Final

from edge.ingest.session import PublisherSession

_PAUSE_S: Final = 0.006  # to the next round, at least
_EACH_S: Final = 0.0001  # and so much more for each publisher: the parts of many leave for the log together
_MOST_PAUSE_S: Final = 0.016


def go_round(sessions: Iterable[PublisherSession], now: float) -> float:
    """Has those work whose time has come, and says when the next round is due.

    That is not at once, but for a publisher somebody waits for each message of. Times in seconds of the loop's
    clock.
    """
    due = prompt = math.inf
    pause_s = _PAUSE_S
    for session in sessions:
        pause_s += _EACH_S
        if session.ready_at <= now:
            session.work(now)
        if session.is_prompt:
            prompt = min(prompt, session.due_at)
        else:
            due = min(due, session.due_at)
    return min(prompt, max(due, now + min(pause_s, _MOST_PAUSE_S)))
