"""Everything behind SRTP of one session that receives: RTP and RTCP in, frames and RTCP out."""

import collections
from typing import Final, NamedTuple

from edge.protocols.webrtc import rtcp
from edge.protocols.webrtc.answer import Chosen, Negotiated
from edge.protocols.webrtc.depayload import Frame
from edge.protocols.webrtc.errors import RtpError
from edge.protocols.webrtc.rtp import RtpPacket, header_extension, parse_packet, restore_retransmission
from edge.protocols.webrtc.sdp import REPAIRED_RID, RID, TRANSPORT_WIDE
from edge.protocols.webrtc.source import Source
from edge.protocols.webrtc.sync import SourceClock
from edge.protocols.webrtc.twcc import ArrivalLog

_MOST_SOURCES: Final = 16
_GONE_S: Final = 3.0
_SILENT_S: Final = 0.5  # a source this silent gives way to another one of the same layer
_TWCC_EVERY_S: Final = 0.1
_REMB_EVERY_S: Final = 0.5
_REPORT_EVERY_S: Final = 1.0
_MOST_NACKS: Final = 200
_NAME: Final = b"nearcast"


class MediaFrame(NamedTuple):
    """A frame that decodes. `rid` is its simulcast layer, `time_s` its place on the receiver's clock."""

    kind: str
    codec: str
    rid: str
    frame: Frame
    time_s: float


class Receiver:
    """`now` and `at` are seconds of one monotonic clock. Call `tick` every 20 ms.

    Bounded by the number of sources and by each source's reorder buffer.
    """

    def __init__(
        self, negotiated: Negotiated, ssrc: int, *, key_every_s: float = 2.0, most_bits_per_s: int = 12_000_000
    ) -> None:
        """`ssrc` is ours in RTCP. Browsers make key frames only when asked: when none came for `key_every_s`, one
        is asked for. `most_bits_per_s` is what REMB allows where it is the only feedback."""
        self.counts: collections.Counter[str] = collections.Counter()
        self._ssrc = ssrc
        self._most_bits_per_s = most_bits_per_s
        self._key_every_s = key_every_s
        self._keys_at = 0.0
        self._by_type: dict[int, tuple[Chosen, bool]] = {}
        for chosen in negotiated.chosen:
            self._by_type[chosen.codec.payload_type] = chosen, False
            if chosen.codec.rtx >= 0:
                self._by_type[chosen.codec.rtx] = chosen, True
        congestion = {chosen.congestion: chosen.section.extensions for chosen in negotiated.chosen}
        self._arrival_id = congestion.get("transport-cc", {}).get(TRANSPORT_WIDE, 0)
        self._estimates = "goog-remb" in congestion and not self._arrival_id
        self._sources: dict[int, Source] = {}
        self._repairs: dict[int, Source] = {}  # by the SSRC of the retransmissions
        self._arrivals = ArrivalLog()
        self._frames: list[MediaFrame] = []
        self._outgoing: list[bytes] = []
        self._ended: set[int] = set()
        self._feedback_at = self._report_at = 0.0
        self._full_intra = 0

    # --- what comes in

    def receive_rtp(self, data: bytes, at: float) -> None:
        """A decrypted RTP packet that the kernel took at `at`. Damaged ones are counted."""
        try:
            packet = parse_packet(data, at)
        except RtpError:
            self.counts["malformed"] += 1
            return
        self.counts["packets"] += 1
        if self._arrival_id:
            value = header_extension(packet, self._arrival_id)
            if len(value) >= 2:
                self._arrivals.note(value[0] << 8 | value[1], at)
        source = self._sources.get(packet.ssrc)
        if source is None or packet.payload_type != source.codec.payload_type:
            found = self._route(packet, source)
            if found is None:
                return
            source, packet = found
        else:
            source.count(packet)
        frames = source.push(packet, at)
        if frames:
            self._deliver(source, frames, at)

    def receive_rtcp(self, data: bytes, at: float) -> None:
        """A decrypted RTCP packet."""
        for report in rtcp.parse_compound(data):
            if isinstance(report, rtcp.SenderReport):
                source = self._sources.get(report.ssrc)
                if source is not None:
                    source.heard_report(report.ntp, report.rtp, at)
            else:
                self._ended.update(ssrc for ssrc in report.ssrcs if ssrc in self._sources)

    def has_ended(self, now: float) -> bool:
        """Whether the sender said goodbye for every source and then kept silent: a pause begins with one too."""
        if not self._ended or not self._ended >= self._sources.keys():
            return False
        return all(now - source.seen_at > _GONE_S for source in self._sources.values())

    def ask_for_keys(self, now: float) -> None:
        """Frames were thrown away downstream: pictures go on at their next key frame."""
        for source in self._sources.values():
            if source.kind == "video":
                source.waits_for_key = True
                self._ask_for_key(source, now)

    # --- what goes out

    @property
    def has_frames(self) -> bool:
        """Whether `frames` would give any."""
        return bool(self._frames)

    def frames(self) -> list[MediaFrame]:
        """Frames since the last call."""
        found, self._frames = self._frames, []
        return found

    def data_to_send(self) -> list[bytes]:
        """RTCP packets, not yet protected."""
        found, self._outgoing = self._outgoing, []
        return found

    def tick(self, now: float) -> None:
        """What is due: requests for lost packets, frames behind those given up, feedback, reports."""
        if not self._sources:
            return
        for source in self._sources.values():
            if source.order.is_waiting:
                self._repair(source, now)
        if now >= self._keys_at:
            self._ask_in_step(now)
        if now >= self._feedback_at:
            self._feed_back(now)
        if now >= self._report_at:
            self._report_at = now + _REPORT_EVERY_S
            blocks = [source.report(now) for source in self._sources.values()]
            description = rtcp.source_description(self._ssrc, _NAME)
            self._outgoing.append(rtcp.receiver_report(self._ssrc, blocks) + description)

    def _ask_in_step(self, now: float) -> None:
        """Asks all layers at once, so that they begin their segments together. One that brings key frames in
        good time by itself is left alone."""
        videos = [source for source in self._sources.values() if source.kind == "video"]
        newest = max((source.key_at for source in videos), default=now)
        if now - newest < self._key_every_s:
            self._keys_at = newest + self._key_every_s
            return
        self._keys_at = now + self._key_every_s / 2  # when they do not come: again, but not in haste
        for source in videos:
            self._ask_for_key(source, now)

    def _repair(self, source: Source, now: float) -> None:
        wanted = source.order.wanted(now)[:_MOST_NACKS] if source.repairs else []
        if wanted:
            self.counts["nacks"] += len(wanted)
            self._send(rtcp.negative_acknowledgement(self._ssrc, source.ssrc, wanted))
        self._deliver(source, source.expire(now), now)

    def _feed_back(self, now: float) -> None:
        videos = [source.ssrc for source in self._sources.values() if source.kind == "video"]
        if self._arrival_id:
            self._feedback_at = now + _TWCC_EVERY_S
            body = self._arrivals.report()
            if body:
                about = videos[0] if videos else next(iter(self._sources))
                self._outgoing.append(rtcp.transport_feedback(self._ssrc, about, body))
        elif self._estimates and videos:
            self._feedback_at = now + _REMB_EVERY_S
            self._send(rtcp.receiver_estimate(self._ssrc, self._most_bits_per_s, videos))

    def _send(self, feedback: bytes) -> None:
        """As a compound packet: not every sender takes reduced-size ones."""
        self._outgoing.append(rtcp.receiver_report(self._ssrc) + feedback)

    # --- frames

    def _deliver(self, source: Source, frames: list[Frame], now: float) -> None:
        for frame in frames:
            if frame.damaged:
                self.counts["damaged_frames"] += 1
                source.waits_for_key = source.kind == "video"
            elif not source.waits_for_key or frame.key:
                source.waits_for_key = False
                if frame.key:
                    source.key_at = now
                time_s = source.clock.place(frame.timestamp, frame.at, self._reference())
                self._frames.append(MediaFrame(source.kind, source.codec.name, source.rid, frame, time_s))
                continue
            self._ask_for_key(source, now)

    def _reference(self) -> SourceClock | None:
        """The clock that others follow: the sound's, else the first picture's."""
        first = None
        for source in self._sources.values():
            if source.kind == "audio":
                return source.clock
            first = first or source
        return first.clock if first is not None else None

    def _ask_for_key(self, source: Source, now: float) -> None:
        if source.kind != "video" or not source.may_ask_for_key(now):
            return
        self.counts["plis"] += 1
        if source.chosen.understands("nack pli") or not source.chosen.understands("ccm fir"):
            self._send(rtcp.picture_loss(self._ssrc, source.ssrc))
        else:
            self._full_intra += 1
            self._send(rtcp.full_intra(self._ssrc, source.ssrc, self._full_intra))

    # --- sources

    def _route(self, packet: RtpPacket, source: Source | None) -> tuple[Source, RtpPacket] | None:
        """The source of a packet that is not simply the next of a known one."""
        known = self._by_type.get(packet.payload_type)
        if known is None:
            self.counts["unknown"] += 1
            return None
        chosen, repairs = known
        if repairs:
            return self._restored(packet, chosen)
        if source is not None:  # its payload type changed to another section's: never on one SSRC
            self.counts["unknown"] += 1
            return None
        made = self._new_source(packet, chosen)
        if made is None:
            self.counts["unknown"] += 1
            return None
        made.count(packet)
        return made, packet

    def _restored(self, packet: RtpPacket, chosen: Chosen) -> tuple[Source, RtpPacket] | None:
        source = self._repairs.get(packet.ssrc) or self._repaired_by(packet, chosen)
        if source is None:
            return None
        if packet.ssrc not in self._repairs and len(self._repairs) < _MOST_SOURCES:
            self._repairs[packet.ssrc] = source
        original = restore_retransmission(packet, source.codec.payload_type, source.ssrc)
        if original is None:
            return None
        self.counts["retransmissions"] += 1
        return source, original

    def _repaired_by(self, packet: RtpPacket, chosen: Chosen) -> Source | None:
        rid = self._rid(packet, chosen, REPAIRED_RID)
        if chosen.section.rids and not rid:
            return None
        same = [one for one in self._sources.values() if one.chosen is chosen and one.rid == rid]
        return same[0] if same else None

    def _new_source(self, packet: RtpPacket, chosen: Chosen) -> Source | None:
        rid = self._rid(packet, chosen, RID)
        if chosen.section.rids and not rid:  # a layer names itself until it knows that we know
            return None
        for other in [one for one in self._sources.values() if one.chosen is chosen and one.rid == rid]:
            if packet.at - other.seen_at < _SILENT_S:
                return None
            self._forget(other)
        if len(self._sources) >= _MOST_SOURCES:
            return None
        source = self._sources[packet.ssrc] = Source(packet.ssrc, chosen, rid, packet.at)
        self._ask_for_key(source, packet.at)
        return source

    def _forget(self, source: Source) -> None:
        del self._sources[source.ssrc]
        self._ended.discard(source.ssrc)
        self._repairs = {ssrc: one for ssrc, one in self._repairs.items() if one is not source}

    def _rid(self, packet: RtpPacket, chosen: Chosen, extension: str) -> str:
        """The layer's name in a packet; empty when there are no layers or it is none that was offered."""
        rids = chosen.section.rids
        if not rids:
            return ""
        name = header_extension(packet, chosen.section.extensions.get(extension, 0)).decode("latin-1")
        return name if name in rids else ""

    def lost(self) -> int:
        """Packets given up so far, of the sources that are known now."""
        return sum(source.order.lost for source in self._sources.values())
