"""Streams and buckets that must exist before any role starts."""

from appliance.contracts import subjects
from appliance.runtime.bus import Bus, Endpoint
from appliance.runtime.settings import Settings
from appliance.runtime.streams import BucketSpec, StreamSpec

OUTBOX_DUPLICATES_S = 600.0
MEDIA_DUPLICATES_S = 120.0
PICTURES_STAY_S = 180.0  # beyond what viewers can rewind: a sheet is written last when its last tile comes


async def prepare_hub(settings: Settings) -> None:
    """The centre's buckets."""
    bus = await Bus.connect(Endpoint(settings.bus.hub_url, settings.bus.hub_credentials), name="hub.setup")
    try:
        await bus.ensure_bucket(BucketSpec(subjects.DIRECTORY_BUCKET))
    finally:
        await bus.close()


async def prepare_edge(settings: Settings) -> None:
    """The edge's part log, live state, leases, outbox and copy of the directory."""
    edge_id = settings.node.edge_id
    local = await Bus.connect(Endpoint(settings.bus.local_url), name=f"{edge_id}.setup")
    try:
        await local.ensure_stream(
            StreamSpec(
                subjects.MEDIA_STREAM,
                ("media.>",),
                max_age_s=settings.media.log_age_s,
                max_bytes=settings.media.log_bytes,
                synced=False,
                duplicate_window_s=MEDIA_DUPLICATES_S,
            )
        )
        await local.ensure_bucket(BucketSpec(subjects.LIVE_BUCKET))
        await local.ensure_bucket(BucketSpec(subjects.FIGURES_BUCKET, synced=False))
        lease_ttl = settings.transcode.lease_ttl_s
        await local.ensure_bucket(BucketSpec(subjects.LEASE_BUCKET, ttl_s=lease_ttl, synced=False))
        pictures_ttl = settings.rewind_s + PICTURES_STAY_S
        await local.ensure_bucket(
            BucketSpec(
                subjects.PICTURES_BUCKET,
                ttl_s=pictures_ttl,
                synced=False,
                max_bytes=settings.transcode.pictures_bytes,
            )
        )
    finally:
        await local.close()
    fed = await Bus.connect(Endpoint(settings.bus.fed_url), name=f"{edge_id}.setup")
    try:
        await fed.ensure_stream(
            StreamSpec(
                subjects.outbox(edge_id),
                tuple(subjects.outbox_filters(edge_id)),
                max_bytes=settings.chat.outbox_bytes,
                refuse_when_full=True,
                duplicate_window_s=OUTBOX_DUPLICATES_S,
            )
        )
        await fed.ensure_bucket(BucketSpec(subjects.DIRECTORY_BUCKET, synced=False))
    finally:
        await fed.close()
