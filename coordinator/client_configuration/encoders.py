"""Which of OBS' encoders makes a track, and its settings. Names are those of OBS' plugins."""

from collections.abc import Callable

from coordinator.client_configuration.ladder import MAX_TRACKS, Track
from coordinator.client_configuration.models import ConfigurationRequest, VideoEncoder

KEY_FRAMES_S = 2
_NVIDIA, _AMD, _INTEL = 0x10DE, (0x1002, 0x1022), 0x8086
_CORES_PER_TRACK = 2  # of x264: a streamer's machine also plays the game

Settings = dict[str, str | int | bool]


def encoder_type(request: ConfigurationRequest) -> str:
    """The encoder of the card on which OBS composes; x264 where none is sure to be there."""
    cards = request.capabilities.gpu or []
    index = request.preferences.composition_gpu_index or 0
    vendor = cards[index].vendor_id if 0 <= index < len(cards) else 0
    if vendor == _NVIDIA:
        return "obs_nvenc_h264_tex" if _major(request.client.version) >= 31 else "jim_nvenc"
    if request.capabilities.system.name == "Windows":
        if vendor in _AMD:
            return "h264_texture_amf"
        if vendor == _INTEL:
            return "obs_qsv11_v2"
    return "obs_x264"


def most_tracks(request: ConfigurationRequest, encoder: str) -> int:
    """How many tracks the streamer asked for and their machine can encode; at least one."""
    most = MAX_TRACKS
    if request.preferences.maximum_video_tracks is not None:
        most = min(most, request.preferences.maximum_video_tracks)
    cores = request.capabilities.cpu.physical_cores
    if encoder == "obs_x264" and cores > 0:
        most = min(most, cores // _CORES_PER_TRACK)
    return max(1, most)


def video_encoder(encoder: str, track: Track) -> VideoEncoder:
    """Constant rate, a key frame every KEY_FRAMES_S on the same pictures in every track, no B-frames."""
    return VideoEncoder(
        type=encoder,
        width=track.width,
        height=track.height,
        framerate=track.framerate,
        settings={
            "rate_control": "CBR",
            "bitrate": track.rate,
            "keyint_sec": KEY_FRAMES_S,
            "profile": "high",
            **_FURTHER[encoder](),
        },
    )


def _x264() -> Settings:
    return {"preset": "veryfast", "bf": 0, "x264opts": "scenecut=0 bframes=0"}


def _nvenc() -> Settings:
    return {"preset": "p4", "tune": "hq", "multipass": "disabled", "bf": 0, "lookahead": False}


def _old_nvenc() -> Settings:
    return {"preset2": "p4", "tune": "hq", "multipass": "disabled", "bf": 0, "lookahead": False}


def _amf() -> Settings:
    return {"preset": "balanced", "bf": 0}


def _qsv() -> Settings:
    return {"target_usage": "TU4", "bframes": 0}


_FURTHER: dict[str, Callable[[], Settings]] = {
    "obs_x264": _x264,
    "obs_nvenc_h264_tex": _nvenc,
    "jim_nvenc": _old_nvenc,
    "h264_texture_amf": _amf,
    "obs_qsv11_v2": _qsv,
}


def _major(version: str) -> int:
    first = version.partition(".")[0]
    return int(first) if first.isascii() and first.isdigit() and len(first) < 5 else 0
