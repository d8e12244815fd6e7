"""What is wrong with something a WebRTC peer sent."""

from appliance.contracts.errors import BadInputError


class WebrtcError(BadInputError):
    """A datagram or a description that cannot be used."""

    code = "webrtc"


class SdpError(WebrtcError):
    """A session description that breaks its grammar or a rule that we depend on."""

    code = "sdp"


class NoCodecError(SdpError):
    """A session description without a codec that we take (HTTP 406)."""

    code = "no_usable_codec"
    status = 406


class RtpError(WebrtcError):
    """An RTP packet that cannot be read."""

    code = "rtp"


class DtlsError(WebrtcError):
    """A handshake that failed, or a peer who is not the one its description named."""

    code = "dtls"


class SrtpError(WebrtcError):
    """A packet that is forged, replayed, too old or too long."""

    code = "srtp"
