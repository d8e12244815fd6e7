"""Names on the bus: subjects, streams and buckets. Nobody writes one of these strings anywhere else.

Two accounts on an edge's server: LOCAL never leaves the site (media, leases, live state), FED crosses the
leaf link (outbox, directory, requests). Stream and bucket names are unique per edge where an
acknowledgement subject could reach two edges.
"""

import zlib

MEDIA_STREAM = "MEDIA"  # LOCAL: the part log
LIVE_BUCKET = "live"  # LOCAL: broadcasts and renditions as the site sees them now
FIGURES_BUCKET = "figures"  # LOCAL: how publishers fare: what changes all the time, written behind
LEASE_BUCKET = "lease"  # LOCAL: who transcodes what, who could and what is asked for, with a TTL
PICTURES_BUCKET = "pictures"  # LOCAL: previews and storyboards of live broadcasts, with a TTL
DIRECTORY_BUCKET = "directory"  # hub: keys, tokens, channels; each edge keeps a copy of the same name
DIRECTORY_WHOLE = "whole"  # its key there once the centre has written all it knows: what is missing then is gone
HUB_DOMAIN = "hub"
CENTRE_CONSUMER = "centre"  # durable consumer by which the centre drains an outbox
CHAT_SHARDS = 64


def media(broadcast_id: str, rendition: str) -> str:
    """Subject of one rendition's chunks in the part log."""
    return f"media.{broadcast_id}.{rendition}"


def media_of(broadcast_id: str) -> str:
    """Filter for every rendition of a broadcast."""
    return f"media.{broadcast_id}.*"


def outbox(edge_id: str) -> str:
    """Name of the edge's outbox stream in FED."""
    return f"OUTBOX_{edge_id}"


def outbox_filters(edge_id: str) -> list[str]:
    """What the outbox captures: this edge's chat and events, nobody else's."""
    return [f"chat.*.*.{edge_id}", f"fed.{edge_id}.ev.>"]


def shard_of(room: str) -> int:
    """Shard of a room (a channel id): stable across processes, versions and machines."""
    return zlib.crc32(room.encode()) % CHAT_SHARDS


def chat(room: str, edge_id: str) -> str:
    """Subject on which `edge_id` publishes messages of a room: chat.<shard>.<room>.<edge>."""
    return f"chat.{shard_of(room)}.{room}.{edge_id}"


def room_of(subject: str) -> str:
    """The room (channel id) of a chat subject or of one of its events. ValueError when it is neither."""
    tokens = subject.split(".")
    if len(tokens) == 4 and tokens[0] == "chat":
        return tokens[2]
    if is_room_event(subject):
        return tokens[4]
    raise ValueError(f"not a chat subject: {subject}")


def is_room_event(subject: str) -> bool:
    """Whether it is the subject of a room's events."""
    tokens = subject.split(".")
    return len(tokens) == 5 and tokens[0] == "fed" and tokens[2:4] == ["ev", "room"]


def room_event(room: str, edge_id: str) -> str:
    """Subject on which `edge_id` publishes what happens in a room besides messages."""
    return f"fed.{edge_id}.ev.room.{room}"


def room_events(edge_id: str) -> str:
    """Filter for the events of every room."""
    return f"fed.{edge_id}.ev.room.*"


def event(edge_id: str, kind: str) -> str:
    """Subject of an edge's durable event, such as kind "broadcast"."""
    return f"fed.{edge_id}.ev.{kind}"


def chat_post(edge_id: str) -> str:
    """Request subject on which an edge's chat service accepts a message on somebody's behalf."""
    return f"ctl.{edge_id}.chat.post"


def grant_request(edge_id: str) -> str:
    """Request subject by which an edge asks the centre for a grant; "*" for all edges."""
    return f"fed.{edge_id}.req.grant"


def ingest_release(edge_id: str, instance: str) -> str:
    """Request subject: an ingest process is to let go of a channel; it answers once its media is in the log."""
    return f"ctl.{edge_id}.ingest.{instance}.release"


def ingest_capture(edge_id: str) -> str:
    """Request subject of every ingest process; the one that has the channel answers."""
    return f"ctl.{edge_id}.ingest.capture"


def ingest_moment(edge_id: str) -> str:
    """Request subject in FED of every ingest process; the one that writes the broadcast marks the moment."""
    return f"ctl.{edge_id}.ingest.moment"


def chat_moderate(edge_id: str) -> str:
    """Request subject on which an edge's chat service takes a moderator's action (ModerationRequest)."""
    return f"ctl.{edge_id}.chat.moderate"


def kept(bucket: str, key: str) -> str:
    """Subject of a bucket's key in its stream; "*" in the key for any token."""
    return f"$KV.{bucket}.{key}"


# Keys of the live bucket.
def broadcast_key(broadcast_id: str) -> str:
    return f"broadcast.{broadcast_id}"


def rendition_key(broadcast_id: str, rendition: str) -> str:
    return f"rendition.{broadcast_id}.{rendition}"


def moments_key(broadcast_id: str) -> str:
    """What happened in a broadcast (appliance.contracts.moments)."""
    return f"moments.{broadcast_id}"


def notice_key(channel_id: str) -> str:
    """Last refusal of a publisher of this channel, in words."""
    return f"notice.{channel_id}"


# Keys of the bucket of figures.
def health_key(channel_id: str) -> str:
    """Newest report on the publisher of this channel (appliance.contracts.health)."""
    return f"health.{channel_id}"


def session_key(channel_id: str, slot: str) -> str:
    """The publisher that holds a channel's slot, "primary" or "standby"."""
    return f"session.{channel_id}.{slot}"


# More keys of the live bucket.
SITE_GRANTS = "secret.grants"  # seed of the key by which a site renews grants
VIEWER_HASHES = "secret.viewers"  # what keys the hashes under which a site's origins know viewers


def rungs_key(broadcast_id: str) -> str:
    """Which rungs of a broadcast run (appliance.contracts.transcode)."""
    return f"rungs.{broadcast_id}"


# Keys of the lease bucket, besides the broadcast ids that are leased.
def worker_key(machine: str, worker: str) -> str:
    """A transcoder process and its load (appliance.contracts.transcode)."""
    return f"worker.{machine}.{worker}"


def demand_key(origin: str) -> str:
    """Who watches what at an origin process (appliance.contracts.transcode)."""
    return f"demand.{origin}"


def viewers_key(origin: str) -> str:
    """Who watches at an origin process (appliance.contracts.audience)."""
    return f"viewers.{origin}"


# Keys of the pictures bucket.
def preview_key(broadcast_id: str, size: int, form: str) -> str:
    """Newest picture of a broadcast: `size` and `form` of appliance.contracts.pictures."""
    return f"{broadcast_id}.{size}.{form}"


def storyboard_key(broadcast_id: str) -> str:
    """The WebVTT of a broadcast's storyboard."""
    return f"{broadcast_id}.storyboard.vtt"


def sheet_key(broadcast_id: str, sheet: int) -> str:
    """A JPEG of tiles that the storyboard names."""
    return f"{broadcast_id}.sheet.{sheet}"


# Keys of the directory bucket.
def stream_key_key(key_hash: str) -> str:
    return f"key.{key_hash}"


def token_key(token_hash: str) -> str:
    return f"token.{token_hash}"


def channel_key(channel_id: str) -> str:
    return f"channel.{channel_id}"


def grant_key(key_id: str) -> str:
    return f"grantkey.{key_id}"


def revocation_key(revocation_id: str) -> str:
    return f"revoked.{revocation_id}"


def stream_key(stream_id: str) -> str:
    return f"stream.{stream_id}"


def room_key(channel_id: str) -> str:
    """State of a channel's chat room (appliance.contracts.moderation)."""
    return f"room.{channel_id}"


def member_key(channel_id: str, user_id: str) -> str:
    """What was done to a user in a room (appliance.contracts.moderation)."""
    return f"member.{channel_id}.{user_id}"


def follow_key(channel_id: str, user_id: str) -> str:
    return f"follow.{channel_id}.{user_id}"


def happened_key(channel_id: str, event_id: str) -> str:
    """An event of a room that every edge tells as it was (CROSSING of appliance.contracts.moderation)."""
    return f"happened.{channel_id}.{event_id}"


def subscriber_key(channel_id: str, user_id: str) -> str:
    return f"subscriber.{channel_id}.{user_id}"
