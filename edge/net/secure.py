"""DTLS of one session over the media port: the handshake's flights and their repetitions, then keys."""

from edge.net.certificate import Identity
from edge.net.udp import MediaPort
from edge.protocols.webrtc.dtls import DtlsEndpoint
from edge.protocols.webrtc.ice import IceAgent
from edge.protocols.webrtc.sdp import Offer
from edge.protocols.webrtc.srtp import SrtpPair

_HELLO_AGAIN_S = 0.03  # some servers' first look for a ClientHello comes later than our first one
_HELLO_EVERY_S = 0.1  # at most


class SecureLink:
    """States: handshaking until `srtp` is there, open, closed. All methods run on the loop; `now` is monotonic."""

    def __init__(
        self, offer: Offer, *, active: bool, identity: Identity, port: MediaPort, agent: IceAgent, now: float
    ) -> None:
        """`active`: we are the DTLS client."""
        self._dtls = DtlsEndpoint(identity.context, active=active, fingerprints=offer.fingerprints)
        self._port = port
        self._agent = agent
        self._hello: list[bytes] = []
        self._hello_at = now
        self._hello_pause_s = _HELLO_AGAIN_S
        self._retry_at: float | None = None

    @property
    def srtp(self) -> SrtpPair | None:
        """The keys, once the handshake is done."""
        return self._dtls.srtp

    @property
    def closed(self) -> bool:
        """Whether either side has closed it."""
        return self._dtls.closed

    def receive(self, datagram: bytes, now: float) -> bool:
        """Takes a DTLS datagram; True when it brought the keys. DtlsError when the handshake failed."""
        self._hello = []
        connected = self._dtls.srtp is not None
        self.send_all(self._dtls.receive(datagram))
        self._plan_retry(now)
        return self._dtls.srtp is not None and not connected

    def connect(self, now: float) -> None:
        """Called every 20 ms until there are keys. DtlsError when there is no hope left."""
        if self._dtls.active and self._agent.selected is not None and self._retry_at is None:
            self._hello = self._dtls.begin()
            self._hello_at = now
            self._plan_retry(now)
            self.send_all(self._hello)
        elif self._hello and now - self._hello_at >= self._hello_pause_s:
            self._hello_at = now
            self._hello_pause_s = min(2 * self._hello_pause_s, _HELLO_EVERY_S)
            self.send_all(self._hello)
        elif self._retry_at is not None and now >= self._retry_at:
            self.send_all(self._dtls.handle_timeout())
            self._plan_retry(now)

    def _plan_retry(self, now: float) -> None:
        wait = self._dtls.timeout_s()
        self._retry_at = now + max(wait, 0.02) if wait is not None else None
        if self._dtls.active and self._retry_at is None and self._dtls.srtp is None:
            self._retry_at = now + 1.0

    def send(self, datagram: bytes) -> None:
        """To the selected address, if there is one."""
        if self._agent.selected is not None:
            self._port.send(datagram, self._agent.selected)

    def send_all(self, datagrams: list[bytes]) -> None:
        """Each."""
        for datagram in datagrams:
            self.send(datagram)

    def close(self) -> None:
        """Says goodbye (close_notify)."""
        self.send_all(self._dtls.close())
