"""Hands the acknowledgements of appends to their appender at once.

The client library makes an object, a place in a queue and a turn of a task of each message, which costs several
times as much as what is done with an acknowledgement.
"""

from collections.abc import Callable

from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

from appliance.runtime.wire import split_answers

Answers = list[tuple[int, bytes]]  # the last word of each subject, and the body


class AnswerParser(Parser):
    """The library's parser, behind a look at what begins with answers. What that leaves goes the usual way."""

    def __init__(self, client: object) -> None:
        super().__init__(client)
        self._inboxes: dict[bytes, Callable[[Answers], None]] = {}

    def hear(self, inbox: str, handler: Callable[[Answers], None]) -> None:
        """Messages for `inbox`, a dot and a number go to `handler` where that is faster: it must not raise."""
        self._inboxes[f"{inbox}.".encode()] = handler

    def ignore(self, inbox: str) -> None:
        """Undoes `hear`."""
        self._inboxes.pop(f"{inbox}.".encode(), None)

    async def parse(self, data: bytes = b"") -> None:
        """See Parser."""
        if not self.buf and self.state == AWAITING_CONTROL_LINE:
            for inbox, handler in self._inboxes.items():
                answers, end = split_answers(data, inbox)
                if answers:
                    data = data[end:]
                    handler(answers)
        if data:
            await super().parse(data)
