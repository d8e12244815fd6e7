"""SRTP and SRTCP (RFC 3711, RFC 7714) by libsrtp; its errors become SrtpError."""

from typing import Final

from pylibsrtp import Error as LibraryError
from pylibsrtp import Policy, Session

from edge.protocols.webrtc.errors import SrtpError

_WINDOW: Final = 1024  # packets of the replay window


class SrtpProfile:
    """Sizes of a protection profile (RFC 5764, 4.1.2; RFC 7714, 14.2). Bytes."""

    def __init__(self, number: int, key: int, salt: int) -> None:
        self.number = number
        self.key = key
        self.salt = salt


PROFILES = {
    b"SRTP_AEAD_AES_128_GCM": SrtpProfile(Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AES128_CM_SHA1_80": SrtpProfile(Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}
"""By OpenSSL's name, the preferred one first."""


class SrtpPair:
    """Both directions of one session."""

    def __init__(self, profile: bytes, theirs: bytes, ours: bytes) -> None:
        """`theirs` and `ours` are the key and salt of what comes in and of what goes out."""
        self._in = _session(profile, theirs, Policy.SSRC_ANY_INBOUND)
        self._out = _session(profile, ours, Policy.SSRC_ANY_OUTBOUND)

    def unprotect(self, packet: bytes) -> bytes:
        """The RTP packet inside. SrtpError when it is not authentic, seen before, or too long."""
        try:
            return self._in.unprotect(packet)
        except (LibraryError, ValueError) as error:  # ValueError: longer than the binding's buffer
            raise SrtpError("an RTP packet that is not authentic") from error

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The RTCP packet inside. SrtpError as above."""
        try:
            return self._in.unprotect_rtcp(packet)
        except (LibraryError, ValueError) as error:
            raise SrtpError("an RTCP packet that is not authentic") from error

    def protect(self, packet: bytes) -> bytes:
        """The RTP packet as it is sent. SrtpError when it is too long."""
        try:
            return self._out.protect(packet)
        except (LibraryError, ValueError) as error:
            raise SrtpError("an RTP packet too long to protect") from error

    def protect_rtcp(self, packet: bytes) -> bytes:
        """The packet as it is sent. SrtpError when it is too long."""
        try:
            return self._out.protect_rtcp(packet)
        except (LibraryError, ValueError) as error:
            raise SrtpError("an RTCP packet too long to protect") from error


def _session(profile: bytes, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[profile].number)
    policy.window_size = _WINDOW
    policy.allow_repeat_tx = True
    return Session(policy)
