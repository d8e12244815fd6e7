"""One response to many who wait: in slices, and past the transports where the sockets allow it."""

import asyncio
from array import array
from collections.abc import Sequence

from appliance.runtime.fanout import EachFanOut, FanOut
from edge.origin.connection import ViewerConnection
from edge.origin.held import Deliver, Waiter
from edge.origin.responses import Response

_SLICE = 1024  # answers written in one turn of the loop
_FEW = 16  # for fewer the transports are as good


def deliverer(loop: asyncio.AbstractEventLoop, fan_out: FanOut | None = None) -> Deliver:
    """Writes one response to many, a slice per turn, so that the loop keeps serving others."""
    sockets = fan_out or EachFanOut()

    def deliver(waiters: list[Waiter], response: Response) -> None:
        for waiter in waiters[_SLICE:]:
            waiter.claim()
        _slice(waiters, response, 0)

    def _slice(waiters: list[Waiter], response: Response, start: int) -> None:
        some = waiters[start : start + _SLICE]
        if len(some) >= _FEW and not response.close:
            some = _send(sockets, some, response)
        for waiter in some:
            waiter.answer(response)
        if start + _SLICE < len(waiters):
            loop.call_soon(_slice, waiters, response, start + _SLICE)

    return deliver


def _send(sockets: FanOut, waiters: Sequence[Waiter], response: Response) -> list[Waiter]:
    """Answers those whose transports have nothing to write, all with the same bytes. The others are returned."""
    bare: list[ViewerConnection] = []
    others: list[Waiter] = []
    fds = array("i")
    for waiter in waiters:
        if isinstance(waiter, ViewerConnection) and (fd := waiter.bare()) >= 0:
            bare.append(waiter)
            fds.append(fd)
        else:
            others.append(waiter)
    if not bare:
        return others
    data = bare[0].bytes_of(response)
    unsent = sockets.send(fds, data)
    for place, taken, _ in unsent:
        bare[place].spill(data[taken:])  # its transport finds out what is wrong
    bare[0].server.answered(bare, response)
    return others
