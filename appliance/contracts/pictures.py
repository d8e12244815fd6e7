"""Pictures of a live broadcast, made by the transcoder and served by any origin of the site.

They lie in the bucket of `appliance.contracts.subjects.PICTURES_BUCKET`, one `StoredPicture` per key, replaced
as the broadcast goes on.
"""

import msgspec

PREVIEW_SIZES = (320, 640, 1280)  # longest side in pixels; a smaller picture is never enlarged
PREVIEW_FORMATS = ("jpg", "webp")


class StoredPicture(msgspec.Struct, frozen=True, array_like=True):
    """A file and when the picture in it was taken, Unix milliseconds. MessagePack in the bucket."""

    at_ms: int
    data: bytes
