"""Every engine by its name: how it is made, and whether this machine can have it at all."""

import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import av
import av.codec.codec

from edge.transcode.engines.base import Engine, RungFormat
from edge.transcode.engines.child import ChildEngine, Recipe
from edge.transcode.engines.hardware import AMF, NVENC, QSV, HardwareEncoder, HardwareEngine
from edge.transcode.engines.lineup import Candidate
from edge.transcode.engines.quality import QualityX264
from edge.transcode.engines.x264 import NEVER, X264

_PROGRAM = "ffmpeg"
_AMD, _INTEL = "0x1002", "0x8086"
_DRI, _SYS = Path("/dev/dri"), Path("/sys/class/drm")


class Entry(NamedTuple):
    """`make` opens the engine; `obstacle` says cheaply why it cannot work here, nothing when it may."""

    make: Callable[[RungFormat], Engine]
    obstacle: Callable[[], str]


def candidates(names: Iterable[str]) -> list[Candidate]:
    """The engines of these names, in this order."""
    return [Candidate(name, ENGINES[name].make) for name in names]


QUALITY = Candidate("x264-quality", QualityX264)  # for channels that want it, not one to choose among


def _rates(form: RungFormat) -> list[str]:
    kilobits = f"{form.bit_rate // 1000}k"
    return ["-b:v", str(form.bit_rate), "-maxrate", kilobits, "-bufsize", kilobits, "-g", str(NEVER), "-bf", "0"]


def _options(encoder: HardwareEncoder, form: RungFormat) -> list[str]:
    named = [text for name, value in encoder.options.items() for text in (f"-{name}", value)]
    return ["-c:v", encoder.codec, *named, *_rates(form)]


def _x264(form: RungFormat) -> list[str]:
    argv = ["-c:v", "libx264", "-threads", "1", "-preset", form.preset, "-tune", "zerolatency"]
    argv += ["-profile:v", "high", "-forced-idr", "1", "-sc_threshold", "0"]
    return [*argv, "-x264-params", "scenecut=0:vbv-init=0.5", *_rates(form)]


def _vaapi(form: RungFormat) -> list[str]:
    argv = ["-c:v", "h264_vaapi", "-async_depth", "1", "-rc_mode", "CBR", "-profile:v", "high"]
    return [*argv, "-idr_interval", "0", *_rates(form)]


def _render_node() -> str:
    return str(next(iter(sorted(_DRI.glob("renderD*"))), _DRI / "renderD128"))


X264_CHILD = Recipe(_x264, lambda _: [])
NVENC_CHILD = Recipe(
    partial(_options, NVENC),
    lambda form: ["hwupload_cuda", f"scale_cuda={form.width}:{form.height}:interp_algo=bicubic"],
    ("-init_hw_device", "cuda=gpu", "-filter_hw_device", "gpu"),
    scales=True,
)
VAAPI = Recipe(_vaapi, lambda _: ["format=nv12", "hwupload"], ("-vaapi_device", _render_node()))


def _nothing() -> str:
    return ""


def _no_codec(name: str, mode: Literal["r", "w"] = "w") -> str:
    try:
        av.Codec(name, mode)
    except av.codec.codec.UnknownCodecError:
        return "not in this build of FFmpeg"
    return ""


def _no_program() -> str:
    return "" if shutil.which(_PROGRAM) else f"there is no {_PROGRAM} program"


def _no_nvidia() -> str:
    found = any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()
    return "" if found else "there is no NVIDIA device"


def _no_graphics(*vendors: str) -> str:
    """By the vendor of the devices that render; one that does not tell may be the right one."""
    nodes = [node.name for node in _DRI.glob("renderD*")]
    if not nodes:
        return f"there is no graphics device in {_DRI}"
    files = [_SYS / node / "device" / "vendor" for node in nodes]
    told = [file.read_text(encoding="ascii").strip() for file in files if file.exists()]
    if not vendors or len(told) < len(nodes) or set(vendors) & set(told):
        return ""
    return "no graphics device is of the maker this is for"


def _all(*checks: Callable[[], str]) -> Callable[[], str]:
    def obstacle() -> str:
        return next((found for check in checks if (found := check())), "")

    return obstacle


ENGINES: dict[str, Entry] = {
    "nvenc": Entry(partial(HardwareEngine, NVENC), _all(_no_nvidia, partial(_no_codec, NVENC.codec))),
    "qsv": Entry(partial(HardwareEngine, QSV), _all(partial(_no_graphics, _INTEL), partial(_no_codec, QSV.codec))),
    "amf": Entry(partial(HardwareEngine, AMF), _all(partial(_no_graphics, _AMD), partial(_no_codec, AMF.codec))),
    "vaapi": Entry(partial(ChildEngine, VAAPI), _all(_no_graphics, _no_program)),
    "nvenc-child": Entry(partial(ChildEngine, NVENC_CHILD), _all(_no_nvidia, _no_program)),
    "x264-child": Entry(partial(ChildEngine, X264_CHILD), _no_program),
    "x264": Entry(X264, _nothing),
}

no_zero_copy = _all(ENGINES["nvenc"].obstacle, partial(_no_codec, "h264_cuvid", "r"))
