"""One WebRTC publisher: connecting, then live, then over. Between the port and the gate."""

import collections
from collections.abc import Callable
from typing import Final

from appliance.runtime.clock import now_us
from appliance.runtime.logs import get_logger
from edge.ingest.publisher import Gate, LinkFigures, Sink, Target
from edge.ingest.whip import metrics
from edge.ingest.whip.access import Access
from edge.ingest.whip.config import WhipConfig
from edge.ingest.whip.tags import Tagger
from edge.net.certificate import Identity
from edge.net.secure import SecureLink
from edge.net.udp import MediaPort
from edge.protocols.webrtc.answer import Negotiated
from edge.protocols.webrtc.errors import DtlsError, SrtpError
from edge.protocols.webrtc.ice import IceAgent
from edge.protocols.webrtc.receiver import Receiver
from edge.protocols.webrtc.rtp import is_rtcp
from edge.protocols.webrtc.sdp import Offer

_MOST_SSRCS: Final = 64  # libsrtp keeps state for each
_MEDIA_IDLE: Final = 4  # times the idle time without media, while checks still come
_FLUSH_S: Final = 1.0
_COUNTERS: Final = {
    "packets": metrics.PACKETS,
    "nacks": metrics.NACKS,
    "plis": metrics.PLIS,
    "damaged_frames": metrics.DAMAGED,
}
_BAD: Final = ("malformed", "unknown", "srtp")


class WhipSession:
    """A Peer of the port and a Publisher of the gate. All methods run on the loop; `now` and `at` are monotonic.

    States: connecting (no keys yet), live (the gate gave a sink), over (`over` was called).
    """

    def __init__(
        self,
        offer: Offer,
        negotiated: Negotiated,
        *,
        agent: IceAgent,
        identity: Identity,
        config: WhipConfig,
        gate: Gate,
        access: Access,
        port: MediaPort,
        on_over: Callable[["WhipSession"], None],
        key: str,
        encoder: str,
        address: str,
        ssrc: int,
        now: float,
    ) -> None:
        """`key` is the publisher's secret, `encoder` what it calls itself, `address` where its offer came from."""
        self.kind = "whip"
        self.encoder = encoder
        self.agent = agent
        self.address = address
        self.offer_fragment = offer.fragment
        self.mid = offer.sections[0].mid or "0"
        self.is_over = False
        self._config = config
        self._gate = gate
        self._access = access
        self._port = port
        self._on_over = on_over
        self._key = key
        self._born = self._flushed_at = self._media_at = now
        self._link = SecureLink(
            offer, active=negotiated.dtls_active, identity=identity, port=port, agent=agent, now=now
        )
        self._receiver = Receiver(negotiated, ssrc, key_every_s=config.key_every_s)
        rids = next((one.section.rids for one in negotiated.chosen if one.section.kind == "video"), [])
        self._tagger = Tagger(rids)
        self._codecs = [one.codec.name for one in negotiated.chosen]
        self._sink: Sink | None = None
        self._dropping = False
        self._ssrcs: set[bytes] = set()
        self._flushed: collections.Counter[str] = collections.Counter()
        self._bytes = self._flushed_bytes = 0
        self._lost = self._damaged = 0
        self._log = get_logger("ingest.whip")

    # --- the port's side

    @property
    def is_connecting(self) -> bool:
        """See Session."""
        return self._link.srtp is None

    def receive(self, datagram: bytes, at: float) -> None:
        """A datagram of an authenticated address (RFC 7983, 7)."""
        if self.is_over:
            return
        first = datagram[0]
        if 128 <= first <= 191:
            self._media(datagram, at)
        elif 20 <= first <= 63:
            self._handshake(datagram, at)

    def _handshake(self, datagram: bytes, at: float) -> None:
        try:
            connected = self._link.receive(datagram, at)
        except DtlsError as error:
            self._dtls_failed(error)
            return
        if connected:
            self._connected(at)
        elif self._link.closed:
            self.end("the encoder closed the connection", "closed", clean=True)

    def _connected(self, at: float) -> None:
        metrics.CONNECT.observe(at - self._born)
        self._media_at = at
        self._log.info("whip_connected", seconds=round(at - self._born, 3), codecs=self._codecs)
        self._gate.admit(self, Target(self._key, {}))

    def _media(self, datagram: bytes, at: float) -> None:
        srtp = self._link.srtp
        if srtp is None or len(datagram) < 12:
            return
        self._bytes += len(datagram)
        control = is_rtcp(datagram)
        ssrc = datagram[4:8] if control else datagram[8:12]
        if ssrc not in self._ssrcs:
            if len(self._ssrcs) >= _MOST_SSRCS:
                self._receiver.counts["unknown"] += 1
                return
            self._ssrcs.add(ssrc)
        try:
            if control:
                self._receiver.receive_rtcp(srtp.unprotect_rtcp(datagram), at)
                return
            self._receiver.receive_rtp(srtp.unprotect(datagram), at)
        except SrtpError:
            self._receiver.counts["srtp"] += 1
            return
        self._media_at = at
        if self._receiver.has_frames:
            self._hand_on(at)

    # --- the gate's side

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self.is_over

    @property
    def received_bytes(self) -> int:
        """Bytes of media packets."""
        return self._bytes

    def figures(self) -> LinkFigures:
        """As of now. An ICE-lite agent sends no checks of its own: it knows no round trip time."""
        return LinkFigures(None, self._receiver.lost())

    def hold(self) -> None:
        """All sessions lie in one port, which rests by itself."""

    def collect(self) -> int:
        """Nothing goes on by that."""
        return 0

    def read(self) -> None:
        """See Publisher."""
        self._port.look()

    def release(self) -> None:
        """It is not held."""

    def move(self, url: str, text: str) -> bool:
        """WHIP has no way to ask for that."""
        _ = url, text
        return False

    def accept(self, sink: Sink) -> None:
        """The gate lets it in. What came while it thought about it is not lost, but begins with a key frame."""
        self._sink = sink
        self._receiver.ask_for_keys(self._media_at)

    def refuse(self, code: str, text: str) -> None:
        """The gate does not let it in; it has told the streamer."""
        self.end(text, code, clean=False)

    def close(self, code: str, text: str) -> None:
        """The gate ends it."""
        self.end(text, code, clean=False)

    def _hand_on(self, now: float) -> None:
        """Frames to the sink; all are dropped until the next key frame when the log is behind."""
        for frame in self._receiver.frames():
            sink = self._sink
            if sink is None:
                return
            if self._gate.is_full(sink):
                metrics.DROPPED.inc()
                self._dropping = True
                continue
            if self._dropping:
                self._dropping = False
                self._receiver.ask_for_keys(now)
                if frame.kind == "video" and not frame.frame.key:
                    continue
            for event in self._tagger.take(frame):
                sink.offer(event, now_us())

    # --- time

    def tick(self, now: float) -> None:
        """Every 20 ms."""
        if self.is_over:
            return
        if self._link.srtp is None:
            self._connect(now)
        else:
            self._serve(now)

    def _connect(self, now: float) -> None:
        if now - self._born > self._config.connect_s:
            self._give_up()
            return
        try:
            self._link.connect(now)
        except DtlsError as error:
            self._dtls_failed(error)

    def _dtls_failed(self, error: DtlsError) -> None:
        metrics.DTLS_FAILURES.inc()
        self._fail("dtls_failed", f"The encrypted connection could not be set up: {error.detail}.")

    def _give_up(self) -> None:
        """Says which stage was not reached: a closed port is what goes wrong most."""
        port, seconds = self._port.port, round(self._config.connect_s)
        if self.agent.selected is None:
            metrics.TIMEOUTS.labels("ice").inc()
            text = (
                f"UDP port {port} is not reachable from the encoder: no connectivity check came in {seconds} s. "
                f"Open UDP and TCP port {port} of this server in its firewall and check the address it tells."
            )
            self._fail("port_not_reachable", text)
        else:
            metrics.TIMEOUTS.labels("dtls").inc()
            text = f"The encrypted connection was not set up within {seconds} s. Try again, or another network."
            self._fail("dtls_timeout", text)

    def _serve(self, now: float) -> None:
        self._receiver.tick(now)
        self._hand_on(now)
        srtp = self._link.srtp
        for packet in self._receiver.data_to_send():
            if srtp is not None:
                self._link.send(srtp.protect_rtcp(packet))
        if now - self._flushed_at >= _FLUSH_S:
            self._flushed_at = now
            self._flush()
        idle_s = self._config.idle_s
        if now - self.agent.heard_at > idle_s or now - self._media_at > _MEDIA_IDLE * idle_s:
            self.end("the encoder sends nothing any more", "idle", clean=False)
        elif self._receiver.has_ended(now):
            self.end("the encoder stopped", "bye", clean=True)

    # --- the end

    def _fail(self, code: str, text: str) -> None:
        self._access.warn(self._key, code, text)
        self.end(text, code, clean=False)

    def end(self, reason: str, code: str, *, clean: bool) -> None:
        """It is over. `clean`: the publisher said so itself."""
        if self.is_over:
            return
        self.is_over = True
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.end(reason, clean=clean)
        self._flush()
        self._link.close()
        metrics.ENDED.labels(code).inc()
        self._log.info("whip_ended", code=code, reason=reason, peer=self.address)
        self._on_over(self)

    def _flush(self) -> None:
        """Adds to the metrics what was counted since."""
        counts = collections.Counter(self._receiver.counts)
        new = counts - self._flushed
        self._flushed = counts
        for name, metric in _COUNTERS.items():
            if new[name]:
                metric.inc(new[name])
        for name in _BAD:
            if new[name]:
                metrics.BAD.labels(name).inc(new[name])
        metrics.BAD.labels("codec").inc(self._tagger.damaged - self._damaged)
        self._damaged = self._tagger.damaged
        lost = self._receiver.lost()
        metrics.LOST.inc(max(0, lost - self._lost))
        self._lost = lost
        metrics.BYTES.inc(self._bytes - self._flushed_bytes)
        self._flushed_bytes = self._bytes
