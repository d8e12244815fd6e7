"""HLS playlists as values (draft-pantos-hls-rfc8216bis-22): a field per tag, render, parse, reload rules.

For the origin, the validator and the tests. Durations are integer microseconds and dates integer Unix
milliseconds, so that what was rendered is parsed back equal. No socket, no clock. A playlist is never
put together from strings anywhere else, and a rendered one is never edited.
"""
