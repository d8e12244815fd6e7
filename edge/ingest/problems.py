"""What a streamer can put right, in words they know."""

from appliance.contracts.media import Problem


def no_video() -> Problem:
    return Problem(code="no_video", text="No video arrives: only the sound is shown. Check your video encoder.")


def no_audio() -> Problem:
    return Problem(code="no_audio", text="No audio arrives. Check that an audio source is selected.")


def video_codec(name: str) -> Problem:
    return Problem(code="video_codec", text=f"We cannot take {name} video. Set the video encoder to H.264.")


def audio_codec(name: str) -> Problem:
    return Problem(code="audio_codec", text=f"We cannot take {name} audio. Set the audio encoder to AAC.")


def keyframe_interval(seconds: float) -> Problem:
    return Problem(
        code="keyframe_interval",
        text=f"Keyframe interval: set 2 s (now {seconds:.1f} s). Viewers wait longer.",
    )


def jump() -> Problem:
    return Problem(code="timestamps", text="The encoder's clock jumped. Viewers may have seen a short break.")


def stamps_still() -> Problem:
    text = "The encoder sends no times: all its timestamps are the same. Pictures and sound may drift apart."
    return Problem(code="timestamps_still", text=text)


def keyframes_repaired(seconds: float) -> Problem:
    text = f"Keyframe interval: set 2 s (now {seconds:.1f} s or irregular). Until then we re-encode it."
    return Problem(code="keyframe_interval", text=text)


def open_gop() -> Problem:
    text = "Open GOP: turn it off in your encoder (x264: open-gop=0). Many viewers cannot begin to watch."
    return Problem(code="open_gop", text=text)


def open_gop_repaired() -> Problem:
    text = "Open GOP: turn it off in your encoder (x264: open-gop=0). Until then we re-encode it."
    return Problem(code="open_gop", text=text)


def track_open_gop(name: str) -> Problem:
    text = (
        f"Open GOP: turn it off for your {name} video as well. Until then we make that quality of the main video."
    )
    return Problem(code="track_open_gop", text=text)


def track_key_frames(name: str) -> Problem:
    text = f"The key frames of your {name} video are not where the main video has them. Use one encoder for both."
    return Problem(code="track_keyframes", text=text)


def video_track(codec: str) -> Problem:
    text = f"One of your additional video tracks is left out: we cannot take {codec or 'its codec'} there."
    return Problem(code="video_track", text=text)


def video_track_late() -> Problem:
    text = "A video track came again after too long a time and is left out. Stop and start the stream."
    return Problem(code="video_track_late", text=text)


def video_track_gone() -> Problem:
    text = "A video track that you sent before no longer comes. Its viewers are given another quality."
    return Problem(code="video_track_gone", text=text)


def audio_tracks() -> Problem:
    text = "You send several audio tracks. Viewers hear the first one only."
    return Problem(code="audio_tracks", text=text)
