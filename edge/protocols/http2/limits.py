"""How much a peer may make a connection do for nothing: frames that cost it little and us something."""

from edge.protocols.http2.errors import ErrorCode, Http2Error


class Allowance:
    """Permits that come back with time. `take` raises Http2Error(ENHANCE_YOUR_CALM) when they are used up."""

    __slots__ = ("_at", "_burst", "_left", "_name", "_per_s")

    def __init__(self, name: str, burst: float, per_s: float) -> None:
        self._name = name
        self._burst = self._left = burst
        self._per_s = per_s
        self._at = 0.0

    def take(self, now: float) -> None:
        """One of them, at `now` in seconds."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, f"too many {self._name}")
        self._left -= 1
