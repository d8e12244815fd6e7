"""What a streamer can put right, in words they know."""

from appliance.contracts.media import Problem


def no_video() -> Problem:
    return Problem(code="no_video", text="No video arrives: only the sound is shown. Check your video encoder.")


def no_audio() -> Problem:
    return Problem(code="no_audio", text="No audio arrives. Check that an audio source and AAC are selected.")


def video_codec(name: str) -> Problem:
    return Problem(code="video_codec", text=f"We cannot take {name} video yet. Set the video encoder to H.264.")


def audio_codec(name: str) -> Problem:
    return Problem(code="audio_codec", text=f"We cannot take {name} audio yet. Set the audio encoder to AAC.")


def keyframe_interval(seconds: float) -> Problem:
    return Problem(
        code="keyframe_interval",
        text=f"Keyframe interval: set 2 s (now {seconds:.1f} s). Viewers wait longer.",
    )


def video_late() -> Problem:
    return Problem(code="video_late", text="Video came after the broadcast began as sound only. Restart it.")


def jump() -> Problem:
    return Problem(code="timestamps", text="The encoder's clock jumped. Viewers may have seen a short break.")
