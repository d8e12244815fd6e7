"""Which decoder a broadcast has: a card's while that is of use and works, otherwise software."""

from collections.abc import Sequence

import av.error

from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from edge.transcode.decoders.bank import Bank
from edge.transcode.decoders.base import Card, CardError, Decoded, Decoder, VideoPacket, Wanted
from edge.transcode.decoders.software import SoftwareDecoder
from edge.transcode.engines.scaler import Scaler
from edge.transcode.forms import VideoForm

_MOST_KEPT = 300  # packets since the last key frame
_FAILURES = counter("nearcast_transcode_card_failures_total", "Broadcasts that a graphics card could not decode.")


class Decoding:
    """One broadcast's. Used by its decode thread."""

    def __init__(self, card: Card | None = None) -> None:
        self._card = card  # None: there is none, or it has failed
        self._form: VideoForm | None = None
        self._decoder: Decoder | None = None
        self._bank: Bank | None = None  # the decoder, while it is on the card
        self._kept: list[VideoPacket] = []  # what the card was given since the last key frame
        self._needs_key = False  # that was too much: software begins with the next one
        self._obstacle = ""  # why the card is left at the next key frame
        self._told: object = None
        self._log = get_logger("decoding")

    @property
    def is_open(self) -> bool:
        """Whether there is a decoder for the form of now."""
        return self._decoder is not None

    @property
    def is_on_card(self) -> bool:
        """Whether pictures come from a card."""
        return self._bank is not None

    def open(self, form: VideoForm, wanted: Sequence[Wanted]) -> None:
        """The next packet is a key frame of this form. `wanted` as for `want`."""
        self._form = form
        self._needs_key, self._obstacle = False, ""
        why = obstacle(self._card, form, wanted) if self._card is not None else "there is no card"
        if self._card is not None and not why:
            self._decoder = self._bank = Bank(self._card, form, wanted)
            self._tell(form, f"on {self._card.name}")
            return
        if self._card is not None:
            self._tell(form, "in software", why)
        self._decoder = SoftwareDecoder(form)

    def want(self, wanted: Sequence[Wanted]) -> None:
        """The rungs that want pictures from the next key frame on. Software makes the same for all."""
        if self._bank is None or self._card is None or self._form is None:
            return
        self._obstacle = obstacle(self._card, self._form, wanted)
        if not self._obstacle:
            self._bank.want(wanted)

    def decode(self, packet: VideoPacket) -> list[Decoded]:
        """The pictures that are finished. Some may come a second time, after a card has failed."""
        if self._decoder is None or self._form is None or (self._needs_key and not packet.is_keyframe):
            return []
        self._needs_key = False
        before: list[Decoded] = []
        if self._obstacle and packet.is_keyframe:
            form, why = self._form, self._obstacle
            before = self.flush()
            self._tell(form, "in software", why)
            self._form, self._decoder = form, SoftwareDecoder(form)
        if self._bank is not None:
            self._keep(packet)
        return before + self._from(self._decoder, packet)

    def flush(self) -> list[Decoded]:
        """Every picture that is still held. Then it has to be opened."""
        decoded: list[Decoded] = []
        if self._decoder is not None:
            decoded = self._from(self._decoder, None)
        self._decoder = self._bank = self._form = None
        self._kept.clear()
        self._obstacle = ""
        return decoded

    def _from(self, decoder: Decoder, packet: "VideoPacket | None") -> list[Decoded]:
        try:
            return decoder.decode(packet)
        except CardError as error:
            return self._fall_back(error, ends=packet is None)
        except av.error.FFmpegError as error:
            if packet is not None:
                self._log.debug("not_decoded", error=type(error).__name__)
            return []

    def _tell(self, form: VideoForm, where: str, why: str = "") -> None:
        """Once for each change: decoders are opened anew behind each gap."""
        told = (where, why, form.decoder, form.size)
        if told != self._told:
            self._told = told
            self._log.info("decoding", where=where, why=why, codec=form.decoder, size=form.size)

    def _keep(self, packet: VideoPacket) -> None:
        if packet.is_keyframe:
            self._kept.clear()
        if len(self._kept) <= _MOST_KEPT:
            self._kept.append(packet)

    def _fall_back(self, error: CardError, *, ends: bool) -> list[Decoded]:
        """Software decodes again what the card was given since the last key frame."""
        if self._form is None:
            return []
        _FAILURES.inc()
        card, self._card = self._card, None
        self._bank = None
        self._decoder = decoder = SoftwareDecoder(self._form)
        kept, self._kept = self._kept, []
        self._needs_key = len(kept) > _MOST_KEPT
        name = card.name if card is not None else ""
        self._log.warning("card_failed", card=name, codec=self._form.decoder, error=error.detail)
        if self._needs_key:
            return []
        packets: list[VideoPacket | None] = [*kept, *([None] if ends else [])]
        return [picture for packet in packets for picture in self._from(decoder, packet)]


def obstacle(card: Card, form: VideoForm, wanted: Sequence[Wanted]) -> str:
    """Why the card is of no use for pictures of this form; nothing when it is."""
    if not any(one.on_card for one in wanted):
        return "no encoder takes pictures on the card"
    if form.decoder not in card.codecs:
        return "the card has no decoder for it"
    if min(form.size) <= 0:
        return "its size is not known"
    if not all(Scaler(*one.size).fills(*form.size, form.sample_aspect) for one in wanted):
        return "the renditions are of another shape"
    return ""
