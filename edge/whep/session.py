"""One WebRTC viewer: connecting, then live, then over. Between the port and the broadcast's feeds."""

import collections
import secrets
from collections.abc import Callable, Mapping

from appliance.runtime.clock import now_us
from appliance.runtime.logs import get_logger
from edge.media.rung_choice import RungChoice
from edge.net.certificate import Identity
from edge.net.secure import SecureLink
from edge.net.udp import MediaPort
from edge.protocols.webrtc.answer import Negotiated
from edge.protocols.webrtc.errors import DtlsError, SrtpError
from edge.protocols.webrtc.ice import IceAgent
from edge.protocols.webrtc.rtcp_feedback import Estimate, Feedback, KeyWanted, Missing, Reception, parse_feedback
from edge.protocols.webrtc.rtp import is_rtcp
from edge.protocols.webrtc.sdp import Offer
from edge.protocols.webrtc.sender import RING, RtpSender, StreamForm
from edge.whep import metrics
from edge.whep.admission import Ticket
from edge.whep.config import WhepConfig
from edge.whep.relay import Relay
from edge.whep.rung import RungFeed
from edge.whep.sound_packet import SoundPacket
from edge.whep.unit import Batch

MOST_BURST = RING - 64
"""Packets of the first picture and what follows it up to now: all of them can still be sent again."""

_BURST_TICKS = 90  # between the pictures of a burst: a millisecond, so that players show only the last one
_PER_TICK = 60  # packets of a burst that leave every 20 ms
_BEHIND = 2_000  # packets that wait behind a burst
_REPORT_EVERY_S, _ADAPT_EVERY_S = 1.0, 1.0
_REPEATS_PER_S = 1_000
_SWITCH_S = 3.0  # for another rendition's next segment
_MOST_SSRCS = 16

_Waiting = tuple[list[bytes], int, bool]  # payloads, media time, whether they end a frame


class WhepSession:
    """A Peer of the port and a sink of feeds. All methods run on the loop; `now` and `at` are monotonic seconds."""

    def __init__(
        self,
        offer: Offer,
        negotiated: Negotiated,
        forms: Mapping[str, StreamForm],
        *,
        agent: IceAgent,
        identity: Identity,
        config: WhepConfig,
        port: MediaPort,
        relay: Relay,
        feed: RungFeed | None,
        on_over: Callable[["WhepSession"], None],
        ticket: Ticket,
        address: str,
        now: float,
    ) -> None:
        """`forms` by kind; `feed` is the rendition to begin with, None without pictures."""
        self.agent = agent
        self.address = address
        self.ticket = ticket
        self.offer_fragment = offer.fragment
        self.mid = offer.sections[0].mid or "0"
        self.is_over = False
        self.relay = relay
        self._config = config
        self._port = port
        self._on_over = on_over
        self._born = now
        self._link = SecureLink(
            offer, active=negotiated.dtls_active, identity=identity, port=port, agent=agent, now=now
        )
        self._senders = {kind: _sender(form) for kind, form in forms.items()}
        self._feed = feed
        self._next: RungFeed | None = None
        self._switch_by = 0.0
        self._msn = -1  # segment of the newest picture that was sent
        self._covered = -1  # pictures of the feed up to this index were in the burst
        self._waits_for_key = True
        self._waiting: collections.deque[_Waiting] = collections.deque()
        self._choice = RungChoice(now)
        self._reported_at = self._adapted_at = self._repeats_at = now
        self._reported = False
        self._repeats = 0
        self._octets = 0
        self._sent_bits = 0.0
        self._ssrcs: set[bytes] = set()
        self._flushed = (0, 0)
        self._log = get_logger("whep")

    @property
    def rendition(self) -> str:
        """What it is shown, empty without pictures."""
        return self._feed.name if self._feed is not None else ""

    def bandwidth(self) -> int:
        """Bit/s that its rendition may need."""
        return next((step.bandwidth for step in self.relay.steps() if step.name == self.rendition), 0)

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
        if 128 <= first <= 191 and is_rtcp(datagram):
            self._control(datagram, at)
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
            self.end("the viewer left", "closed", clean=True)

    def _connected(self, at: float) -> None:
        metrics.CONNECT.observe(at - self._born)
        self._log.info("whep_connected", seconds=round(at - self._born, 3), rendition=self.rendition)
        if self._feed is not None:
            self._begin(self._feed)
        if "audio" in self._senders:
            self.relay.sound().viewers.add(self)

    def _control(self, datagram: bytes, at: float) -> None:
        srtp = self._link.srtp
        if srtp is None or len(datagram) < 12:
            return
        if datagram[4:8] not in self._ssrcs:  # libsrtp keeps state for each
            if len(self._ssrcs) >= _MOST_SSRCS:
                return
            self._ssrcs.add(datagram[4:8])
        try:
            feedback = srtp.unprotect_rtcp(datagram)
        except SrtpError:
            metrics.DROPPED.labels("srtp").inc()
            return
        for one in parse_feedback(feedback):
            self._feedback(one, at)

    def _feedback(self, one: Feedback, at: float) -> None:
        if isinstance(one, Missing):
            self._repeat(one, at)
        elif isinstance(one, Estimate):
            self._choice.estimated(one.bit_rate)
        elif isinstance(one, Reception) and self._is_picture(one.source):
            self._choice.reported(one.lost, at)
        elif isinstance(one, KeyWanted):
            metrics.KEYS.inc()  # the next segment begins with one

    def _is_picture(self, ssrc: int) -> bool:
        sender = self._senders.get("video")
        return sender is not None and sender.form.ssrc == ssrc

    def _repeat(self, missing: Missing, now: float) -> None:
        sender = self._senders.get("video")
        if sender is None or not self._is_picture(missing.source):
            return
        metrics.MISSED.inc(len(missing.sequences))
        if now - self._repeats_at >= 1.0:
            self._repeats_at, self._repeats = now, 0
        packets = sender.repeat(missing.sequences, now_us() / 1e6)
        packets = packets[: max(0, _REPEATS_PER_S - self._repeats)]
        self._repeats += len(packets)
        metrics.REPEATED.inc(len(packets))
        self._protect_and_send(packets)

    # --- the feeds' side

    def _begin(self, feed: RungFeed) -> None:
        """From the newest key frame on, at once: the pictures since are shown as one."""
        burst = feed.burst(MOST_BURST)
        feed.viewers.add(self)
        if not burst:
            return
        end = burst[-1]
        for number, unit in enumerate(burst):
            media = end.media - (len(burst) - 1 - number) * _BURST_TICKS
            self._waiting.append((unit.payloads, media, True))
        self._msn, self._covered, self._waits_for_key = end.msn, end.number, False
        self._drain()

    def picture(self, feed: RungFeed, batch: Batch) -> None:
        """See rung.PictureSink."""
        unit = batch.unit
        starts = unit.key and not batch.first
        if feed is self._next and starts and unit.msn > self._msn:
            self._switched(feed)
        if feed is not self._feed or unit.number <= self._covered:
            return
        if self._next is not None and unit.msn > self._msn >= 0:
            self._waits_for_key = True  # this segment comes from the other rendition, in a moment
            return
        if self._waits_for_key and not starts:
            return
        self._waits_for_key = False
        self._msn = unit.msn
        payloads = unit.payloads[batch.first : batch.last]
        if self._waiting:
            self._wait((payloads, unit.media, batch.ends_unit))
        else:
            self._send("video", payloads, unit.media, ends_frame=batch.ends_unit)

    def _switched(self, feed: RungFeed) -> None:
        if self._feed is not None:
            self._feed.viewers.discard(self)
        self._feed, self._next = feed, None
        self._covered = -1
        self._waits_for_key = False

    def sound(self, packet: SoundPacket) -> None:
        """See sound.SoundSink."""
        self._send("audio", [packet.data], packet.media, ends_frame=False)

    def _wait(self, item: _Waiting) -> None:
        self._waiting.append(item)
        if sum(len(payloads) for payloads, _, _ in self._waiting) > _BEHIND:
            metrics.DROPPED.labels("behind").inc(len(self._waiting))
            self._waiting.clear()
            self._waits_for_key = True

    def _drain(self) -> None:
        left = _PER_TICK
        while self._waiting and left > 0:
            payloads, media, ends_frame = self._waiting.popleft()
            left -= len(payloads)
            self._send("video", payloads, media, ends_frame=ends_frame)

    def _send(self, kind: str, payloads: list[bytes], media: int, *, ends_frame: bool) -> None:
        sender = self._senders.get(kind)
        if sender is not None:
            packets = sender.packetize(payloads, media, now_us() / 1e6, ends_frame=ends_frame)
            self._protect_and_send(packets)

    def _protect_and_send(self, packets: list[bytes]) -> None:
        srtp, address = self._link.srtp, self.agent.selected
        if srtp is None or address is None:
            return
        protect, send = srtp.protect, self._port.send
        for packet in packets:
            try:
                send(protect(packet), address)
            except SrtpError:
                metrics.DROPPED.labels("srtp").inc()

    # --- time

    def tick(self, now: float) -> None:
        """Every 20 ms."""
        if self.is_over:
            return
        if self._link.srtp is None:
            self._connect(now)
            return
        if self._waiting:
            self._drain()
        if not self._reported or now - self._reported_at >= _REPORT_EVERY_S:
            self._report(now)
        if now - self._adapted_at >= _ADAPT_EVERY_S:
            self._adapt(now)
        if now - self.agent.heard_at > self._config.idle_s:
            self.end("the viewer answers nothing any more", "idle", clean=False)

    def _connect(self, now: float) -> None:
        if now - self._born > self._config.connect_s:
            code = "ice_timeout" if self.agent.selected is None else "dtls_timeout"
            self.end("the connection did not come about", code, clean=False)
            return
        try:
            self._link.connect(now)
        except DtlsError as error:
            self._dtls_failed(error)

    def _dtls_failed(self, error: DtlsError) -> None:
        metrics.DTLS_FAILURES.inc()
        self.end(error.detail, "dtls_failed", clean=False)

    def _report(self, now: float) -> None:
        """Picture and sound by one wall clock: that is how players keep them in step."""
        anchor, srtp = self.relay.anchor, self._link.srtp
        if anchor is None or srtp is None:
            return
        wall_s = now_us() / 1e6
        media_s = anchor.media_at(wall_s)
        for sender in self._senders.values():
            if sender.packets:
                self._link.send(srtp.protect_rtcp(sender.report(media_s * sender.form.clock_rate, wall_s)))
                self._reported = True
        self._reported_at = now

    def _adapt(self, now: float) -> None:
        """Looks whether the line carries what is sent."""
        self._flush()
        sender = self._senders.get("video")
        if sender is None or self._feed is None:
            return
        seconds = now - self._adapted_at
        self._sent_bits += ((sender.octets - self._octets) * 8 / seconds - self._sent_bits) / 2
        self._octets, self._adapted_at = sender.octets, now
        if self._next is not None:
            if now > self._switch_by:
                self._next.viewers.discard(self)
                self._next, self._waits_for_key = None, True
            return
        steps = self.relay.steps()
        if self._feed.unfit and not steps:
            self.end(f"WebRTC cannot show it any more: {self._feed.unfit}", "unfit", clean=False)
            return
        wanted = self._choice.wanted(steps, self._feed.name, self._sent_bits, now)
        if wanted != self._feed.name:
            names = [step.name for step in steps]
            here = names.index(self._feed.name) if self._feed.name in names else -1
            up = names.index(wanted) < here
            metrics.SWITCHES.labels("up" if up else "down").inc()
            self._choice.changed(now, up=up)
            self._next = self.relay.rung(wanted)
            self._next.viewers.add(self)
            self._switch_by = now + self._config.ready_s + _SWITCH_S

    # --- the end

    def end(self, reason: str, code: str, *, clean: bool) -> None:
        """It is over. `clean`: the viewer said so, or the broadcast is over."""
        if self.is_over:
            return
        self.is_over = True
        self.relay.leave(self)
        self._waiting.clear()
        self._flush()
        self._link.close()
        metrics.ENDED.labels(code).inc()
        self._log.info("whep_ended", code=code, reason=reason, clean=clean, peer=self.address)
        self._on_over(self)

    def _flush(self) -> None:
        """Adds to the metrics what was sent since."""
        packets = sum(sender.packets for sender in self._senders.values())
        octets = sum(sender.octets for sender in self._senders.values())
        metrics.PACKETS.inc(packets - self._flushed[0])
        metrics.BYTES.inc(octets - self._flushed[1])
        self._flushed = packets, octets


def _sender(form: StreamForm) -> RtpSender:
    return RtpSender(
        form, sequence=secrets.randbits(15), rtx_sequence=secrets.randbits(15), offset=secrets.randbits(32)
    )
