"""The message streams of one connection: one publishes, and others that an encoder opens beside it do not."""

FIRST = 1
_MOST = 16  # that are told apart; who opens more is given the last one again


class MessageStreams:
    """Numbers as createStream answers them and as messages name them (RTMP 1.0, 7.2.1.3)."""

    def __init__(self) -> None:
        self.others: set[int] = set()  # what comes there belongs to no broadcast
        self._last = FIRST
        self._publishes = FIRST
        self._key = ""
        self._refused_keys: set[str] = set()

    def create(self, *, active: bool) -> int:
        """The next one. `active`: one publishes already, or asks to.

        Before that all are the first: encoders that create two publish on either.
        """
        if not active:
            return FIRST
        self._last = min(self._last + 1, _MOST)
        self.others.add(self._last)
        return self._last

    def publish(self, stream_id: int, key: str) -> None:
        """This one publishes `key`."""
        self._publishes, self._key = stream_id, key
        self.others.discard(stream_id)
        self._refused_keys.discard(key)

    def publish_again(self, stream_id: int, key: str) -> bool:
        """Whether that repeats what publishes, and is not another one beside it."""
        if stream_id not in self.others and key == self._key:
            return True
        if stream_id != self._publishes and len(self.others) < _MOST:
            self.others.add(stream_id)
        if key != self._key and len(self._refused_keys) < _MOST:
            self._refused_keys.add(key)
        return False

    def ends_another(self, command: str, stream_id: int, argument: object) -> bool:
        """Whether deleteStream, closeStream or FCUnpublish is about one that does not publish."""
        if command == "deleteStream":
            return isinstance(argument, float) and int(argument) in self.others
        if command == "FCUnpublish":
            return isinstance(argument, str) and argument in self._refused_keys
        return stream_id in self.others
