"""Access units of a rendition as packets' payloads, made once for all viewers."""

from collections.abc import Iterator
from typing import NamedTuple

from appliance.contracts.errors import BadInputError
from appliance.contracts.media import Init
from edge.protocols.codecs import avc
from edge.protocols.codecs.bits import CodecError
from edge.protocols.fmp4 import FragmentError, Sample, read_init
from edge.protocols.webrtc.payload import packetize_h264

RTP_RATE = 90_000
_SETS = (avc.NAL_SPS, avc.NAL_PPS)
_LEFT_OUT = (avc.NAL_AUD, avc.NAL_FILLER)
_BURST = 16  # packets that leave together
_STEPS = 6  # in which a frame leaves, at most


class UnfitError(BadInputError):
    """A rendition that WebRTC viewers cannot be shown."""

    code = "unfit_rendition"


class AvcForm(NamedTuple):
    """How samples are to be read, and the parameter sets that go before each key frame."""

    length_size: int
    sets: tuple[bytes, ...]
    profile: str  # profile_idc and constraints in hex


class Unit(NamedTuple):
    """An access unit. `number` counts in its feed; `media` is its time at 90 kHz, `duration_s` in seconds."""

    number: int
    msn: int
    key: bool
    media: int
    duration_s: float
    payloads: list[bytes]


class Batch(NamedTuple):
    """Payloads first..last (exclusive) of a unit, which leave together."""

    unit: Unit
    first: int
    last: int

    @property
    def ends_unit(self) -> bool:
        """Whether the unit is complete with it."""
        return self.last == len(self.unit.payloads)


def avc_form(init: Init) -> AvcForm:
    """The form of a video rendition. UnfitError when it is not H.264."""
    try:
        track = read_init(init.data)
        if track.entry != "avc1":
            raise UnfitError(f"{track.entry} is not shown by WebRTC here")
        config = avc.parse_config(track.config)
    except (FragmentError, CodecError) as error:
        raise UnfitError(error.detail) from error
    profile = f"{config.profile:02x}{config.compatibility:02x}"
    return AvcForm(config.length_size, (*config.sps, *config.pps), profile)


def payloads_of(sample: Sample, form: AvcForm) -> list[bytes]:
    """The payloads of an access unit; a key frame has parameter sets in front. CodecError when it is damaged."""
    nals = [nal for nal in avc.iter_nals(sample.data, form.length_size) if nal[0] & 0x1F not in _LEFT_OUT]
    if not sample.key:
        return packetize_h264(nals)
    own = {bytes(nal) for nal in nals if nal[0] & 0x1F in _SETS}
    sets = [one for one in form.sets if one not in own]
    return packetize_h264([*sets, *nals])


def batches_of(unit: Unit, offset_s: float) -> Iterator[tuple[float, Batch]]:
    """The unit in batches with the offsets at which they leave: large ones over half of the unit's duration."""
    count = len(unit.payloads)
    steps = max(1, min(_STEPS, -(-count // _BURST)))
    size = -(-count // steps)
    for number, first in enumerate(range(0, count, size)):
        yield offset_s + number * unit.duration_s / 2 / steps, Batch(unit, first, min(first + size, count))
