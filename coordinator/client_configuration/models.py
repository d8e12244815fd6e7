"""The documents of OBS' multitrack video, schemas 2024-06-04 (OBS 30.2, 31.0) and 2025-01-25 (31.1 on).

Names and units are OBS' (frontend/utility/models/multitrack-video.hpp): bit rates in kbit/s, sizes in pixels.
Requests are read leniently: what is left out is chosen here, what is not known is skipped.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec

SCHEMAS = ("2024-06-04", "2025-01-25")


class FrameRate(msgspec.Struct, frozen=True, kw_only=True):
    """Frames per second, exact."""

    numerator: int = 30
    denominator: int = 1


class Canvas(msgspec.Struct, frozen=True, kw_only=True):
    """A picture OBS composes, as it is put out: `width` and `height` after OBS' own scaling."""

    width: int = 1920
    height: int = 1080
    framerate: FrameRate = FrameRate()


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What the streamer set. The older schema has one canvas, in the fields `width` to `framerate`."""

    maximum_aggregate_bitrate: int | None = None
    maximum_video_tracks: int | None = None
    vod_track_audio: bool = False
    composition_gpu_index: int | None = None
    audio_channels: int = 2
    canvases: list[Canvas] = []
    width: int = 1920
    height: int = 1080
    framerate: FrameRate = FrameRate()

    def canvas(self) -> Canvas:
        """The main canvas."""
        if self.canvases:
            return self.canvases[0]
        return Canvas(width=self.width, height=self.height, framerate=self.framerate)


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """The program that asks."""

    name: str = ""
    version: str = ""


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A graphics card by its PCI vendor."""

    vendor_id: int = 0


class Cpu(msgspec.Struct, frozen=True, kw_only=True):
    """0 cores: not known."""

    physical_cores: int = 0


class System(msgspec.Struct, frozen=True, kw_only=True):
    """The operating system; `name` is "Windows" there."""

    name: str = ""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """The machine of the streamer."""

    cpu: Cpu = Cpu()
    system: System = System()
    gpu: list[Gpu] | None = None


class ConfigurationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of POST /client-configuration. `authentication` is the stream key."""

    authentication: str = ""
    service: str = ""
    schema_version: str = ""
    client: Client = Client()
    capabilities: Capabilities = Capabilities()
    preferences: Preferences = Preferences()


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """An empty `config_id` keeps OBS from adding it to the stream key."""

    service: str
    schema_version: str
    config_id: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`result` is success or error; OBS shows `html_en_us` with an error."""

    result: str
    html_en_us: str | None = None


class IngestEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`protocol` is RTMP or RTMPS; OBS puts its key where the template says."""

    protocol: str
    url_template: str


class VideoEncoder(msgspec.Struct, frozen=True, kw_only=True):
    """A video track. `type` is OBS' name of an encoder, `settings` are that encoder's."""

    type: str
    width: int
    height: int
    framerate: FrameRate
    gpu_scale_type: str = "OBS_SCALE_BICUBIC"
    colorspace: str = "VIDEO_CS_709"
    range: str = "VIDEO_RANGE_PARTIAL"
    format: str = "VIDEO_FORMAT_NV12"
    settings: dict[str, str | int | bool]
    canvas_index: int = 0


class AudioEncoder(msgspec.Struct, frozen=True, kw_only=True):
    """An audio track."""

    codec: str
    track_id: int
    channels: int
    settings: dict[str, int]


class AudioConfigurations(msgspec.Struct, frozen=True, kw_only=True):
    """`vod` is asked for by streamers who set up a second mix; OBS does not start without it then."""

    live: list[AudioEncoder] = []
    vod: list[AudioEncoder] | None = None


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. Video tracks largest first; OBS numbers them in this order, the first is the source."""

    meta: Meta
    status: Status
    ingest_endpoints: list[IngestEndpoint] = []
    encoder_configurations: list[VideoEncoder] = []
    audio_configurations: AudioConfigurations = AudioConfigurations()


@dataclass(frozen=True, slots=True)
class KeyState:
    """What is known of a stream key."""

    revoked: bool
    expires_at: datetime | None
    suspended: bool  # the channel or its owner
