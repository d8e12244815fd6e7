"""Whether the system keeps enough of what WebRTC publishers send while ingest does something else."""

import contextlib
import socket

from appliance.doctor.findings import Finding
from appliance.runtime.settings import Settings

_ENOUGH = 4 << 20  # what `edge/net` asks for, as the kernel counts it
_SO_RCVBUFFORCE = 33  # not in the socket module
_ADVICE = (
    f"sysctl net.core.rmem_max={_ENOUGH}: pictures of WebRTC publishers lose packets when many come at once, "
    "and each costs more"
)


def udp_room(_settings: Settings) -> list[Finding]:
    """How much this process may have kept for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ENOUGH)
        with contextlib.suppress(OSError):  # only for who administers the network
            probe.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ENOUGH)
        room = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return [Finding("UDP buffer", f"{room >> 10} KiB", "" if room >= _ENOUGH else _ADVICE)]
