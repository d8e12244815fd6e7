"""Rules of automatic multitrack video."""

from collections.abc import Callable

from appliance.contracts.directory import secret_hash
from coordinator.client_configuration import store
from coordinator.client_configuration.encoders import encoder_type, most_tracks, video_encoder
from coordinator.client_configuration.ladder import AGGREGATE, choose_tracks, is_usable
from coordinator.client_configuration.models import (
    SCHEMAS,
    AudioConfigurations,
    AudioEncoder,
    Configuration,
    ConfigurationRequest,
    IngestEndpoint,
    Meta,
    Preferences,
    Status,
    VideoEncoder,
)
from coordinator.endpoints import Endpoints
from coordinator.times import from_ms
from coordinator.unit import Unit

_MAX_KEY = 512
_MAX_CHANNELS = 8
_MAX_SERVICE = 100
_STEREO_RATE, _SURROUND_RATE = 160, 320  # kbit/s


class ClientConfigurations:
    """`now_ms` gives Unix milliseconds."""

    def __init__(self, endpoints: Endpoints, now_ms: Callable[[], int]) -> None:
        self._endpoints = endpoints
        self._now_ms = now_ms

    async def find(self, unit: Unit, request: ConfigurationRequest) -> Configuration:
        """What the encoder should send and where to; a refusal is a configuration with an error in words."""
        meta = _meta(request)
        refusal = await self._refusal(unit, request.authentication)
        if not refusal and not is_usable(request.preferences.canvas()):
            refusal = "This canvas cannot be streamed. Set its size and frame rate in Settings, Video."
        if refusal:
            return Configuration(meta=meta, status=Status(result="error", html_en_us=refusal))
        return Configuration(
            meta=meta,
            status=Status(result="success"),
            ingest_endpoints=[_endpoint(ingest.rtmp_url) for ingest in self._endpoints.ingests()],
            encoder_configurations=plan(request),
            audio_configurations=_sound(request.preferences),
        )

    async def _refusal(self, unit: Unit, authentication: str) -> str:
        key = authentication.strip().partition("?")[0]  # OBS users add parameters such as ?bandwidthtest=true
        if not key:
            return "No stream key was given. Copy it from the studio page."
        state = await store.find_key(unit.connection, secret_hash(key)) if len(key) <= _MAX_KEY else None
        if state is None:
            return "This stream key is not known. Copy it anew from the studio page."
        if state.revoked:
            return "This stream key was replaced. Copy the new one."
        if state.expires_at is not None and state.expires_at <= from_ms(self._now_ms()):
            return "This stream key has expired. Copy the new one."
        return "This channel is suspended." if state.suspended else ""


def plan(request: ConfigurationRequest) -> list[VideoEncoder]:
    """The video tracks for a machine and its streamer's wishes, largest first."""
    encoder = encoder_type(request)
    wishes = request.preferences
    sound = sum(one.settings["bitrate"] for one in (*_sound(wishes).live, *(_sound(wishes).vod or [])))
    aggregate = (wishes.maximum_aggregate_bitrate or AGGREGATE) - sound
    tracks = choose_tracks(wishes.canvas(), aggregate, most_tracks(request, encoder))
    return [video_encoder(encoder, track) for track in tracks]


def _sound(wishes: Preferences) -> AudioConfigurations:
    """One AAC track with as many channels as OBS mixes: it does not start with fewer."""
    channels = min(max(wishes.audio_channels, 1), _MAX_CHANNELS)
    settings = {"bitrate": _STEREO_RATE if channels <= 2 else _SURROUND_RATE}
    live = AudioEncoder(codec="aac", track_id=1, channels=channels, settings=settings)
    vod = AudioEncoder(codec="aac", track_id=2, channels=channels, settings=settings)
    return AudioConfigurations(live=[live], vod=[vod] if wishes.vod_track_audio else None)


def _endpoint(rtmp_url: str) -> IngestEndpoint:
    scheme = rtmp_url.partition(":")[0]
    return IngestEndpoint(protocol=scheme.upper(), url_template=f"{rtmp_url}/{{stream_key}}")


def _meta(request: ConfigurationRequest) -> Meta:
    schema = request.schema_version if request.schema_version in SCHEMAS else SCHEMAS[-1]
    return Meta(service=request.service[:_MAX_SERVICE], schema_version=schema)
