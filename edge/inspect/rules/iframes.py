"""I-frame playlists (8216bis, 4.4.3.6 and 4.4.6.3)."""

from edge.inspect.mp4 import Media, TrackInit
from edge.inspect.observations import Exchange, Note
from edge.inspect.playlist import MediaText


def check(text: MediaText, target_s: int | None, note: Note) -> None:
    """The playlist. `target_s`: the target duration of the other playlists."""
    wrong = []
    if "#EXT-X-I-FRAMES-ONLY" not in text.head:
        wrong.append("no EXT-X-I-FRAMES-ONLY")
    if "#EXT-X-MAP" not in text.tags and any(not segment.gap for segment in text.segments):
        wrong.append("no EXT-X-MAP")
    if "#EXT-X-PART" in text.tags:
        wrong.append("parts")
    if wrong:
        note("IFRAME-ONLY", 0, ", ".join(wrong))
    if target_s is not None and text.target_s != target_s and text.type != "VOD":
        note("IFRAME-TD", 0, f"target duration {text.target_s}, the others have {target_s}")


def check_media(media: Media, tracks: dict[int, TrackInit], line: int, note: Note) -> None:
    """One of its segments: the bytes that EXT-X-BYTERANGE names, or all of the URI."""
    samples = [sample for track in media.tracks.values() for sample in track.samples]
    first = next(iter(media.tracks.values()))
    if len(samples) != 1 or not samples[0][3] or not first.first_idr:
        note(
            "IFRAME-MEDIA",
            line,
            f"{len(samples)} samples, {sum(sample[3] for sample in samples)} of them key frames",
        )
    elif any(tracks[track_id].kind != "vide" for track_id in media.tracks):
        note("IFRAME-MEDIA", line, "not a track of video")


def judge_block(exchange: Exchange, text: MediaText, note: Note) -> None:
    """The answer to `_HLS_msn` with the next segment."""
    if exchange.status not in (200, 503):
        note("IFRAME-BLOCK", 0, f"{exchange.outcome}, the playlist goes to {text.edge[0] - 1}")
