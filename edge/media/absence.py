"""When pictures are missing while the sound goes on: a camera that is unplugged, a phone in the background.

Of a broadcast whose pictures and sound come on one connection, sound without pictures means that none were made,
or that the encoder sends them later. They are waited for a little longer than it sent sound without pictures in
its last minutes with pictures.
Slides are waited for as long as they are apart, up to what sound is held for pictures.
After that they are missing, a part of the playlist at a time, as far behind the sound as they were waited for.
"""

from typing import Final

from appliance.contracts.media import VIDEO_TIMESCALE

PAUSE: Final = 3 * VIDEO_TIMESCALE // 2  # without pictures: more than between those of the slowest sources
_SLACK: Final = 3 * VIDEO_TIMESCALE // 10  # beyond what is usual
_MOST_USUAL: Final = 17 * VIDEO_TIMESCALE // 4  # with slack and part less than sound is held for pictures
_REMEMBERED_US: Final = 60_000_000  # of pictures, and as much again: so long what is usual is known
_STEADY_US: Final = 1_000_000  # for so long they come too late, and it is no accident
_PACE: Final = 5, 4  # what was held up somewhere comes faster
_LATEST: Final = 11 * VIDEO_TIMESCALE  # behind the sound: no encoder holds pictures for longer


class Absence:
    """One publisher's. Times in 90 kHz ticks of media time, `now_us` Unix microseconds of arrival.

    Only sound that came since the last picture counts, so it does not matter how far apart both are; and as much
    time must have passed, so that stamps of the sound that jump ahead mean nothing.
    """

    def __init__(self, part: int) -> None:
        """`part` is the part target."""
        self._part = part
        self._recent = self._before = 0  # the most sound that came between two pictures, in a minute and the last
        self._recent_us = 0  # of pictures since that minute began
        self._heard = self._heard_then = 0  # where the sound ends, and did when the last picture came
        self._due = 0  # where it ends when the next part is missing
        self._end: int | None = None  # of the last picture
        self._came_us = 0
        self._apart = 0  # pictures in succession with a pause before each
        self._slides = 0  # the most sound that came between those
        self._announced = 0  # so far apart pictures are by what the encoder says of them
        self._lost_us = 0  # when the first one came too late since the last that did not; 0: none
        self._lost_dts = 0  # and when that is decoded

    def picture(self, dts: int, end: int, now_us: int) -> None:
        """A picture came: when it is decoded, and where it ends."""
        heard = self._heard
        self._watch_slides(dts, now_us)
        if heard - self._heard_then > self._recent and self._end is not None:
            self._learn(dts, now_us, PAUSE)
        self._forget(now_us)
        self._lost_us = 0
        self._heard_then, self._end, self._came_us = heard, end, now_us
        self._due = heard + self._waits + self._part

    @property
    def _waits(self) -> int:
        """How far behind the sound pictures may be before they are missing."""
        usual = max(self._recent, self._before)
        apart = max(self._slides, self._announced)
        return max(usual, apart) + _SLACK

    def announce(self, frame_rate: tuple[int, int]) -> None:
        """What the configuration says of the pictures to come; (0, 1): nothing."""
        frames, seconds = frame_rate
        apart = VIDEO_TIMESCALE * seconds // frames if frames > 0 else 0
        self._announced = apart if _SLACK < apart <= PAUSE else 0

    def _forget(self, now_us: int) -> None:
        """Time without pictures does not count: nothing is learned in it."""
        self._recent_us += min(now_us - self._came_us, _STEADY_US)
        if self._recent_us > _REMEMBERED_US:
            self._before, self._recent, self._recent_us = self._recent, 0, 0

    def _watch_slides(self, dts: int, now_us: int) -> None:
        """One pause may be a stop, two in succession are slides: they are waited for as long as they go on."""
        if self._end is None or dts - self._end <= PAUSE:
            self._apart = self._slides = 0
            return
        self._apart += 1
        waited = self._waited(now_us)
        if self._apart > 1 and waited <= _MOST_USUAL:
            self._slides = max(self._slides, waited)

    def _waited(self, now_us: int) -> int:
        """How much sound came since the last picture, in as much time."""
        return min(self._heard - self._heard_then, (now_us - self._came_us) * 9 // 100)

    def late(self, dts: int, now_us: int) -> None:
        """A picture came that cannot be shown any more.

        Those that go on to come later than sound is held are waited for as well: else none would be shown again.
        """
        if not self._lost_us:
            self._lost_us, self._lost_dts = now_us, dts
        self._learn(dts, now_us, 0, _LATEST if now_us - self._lost_us > _STEADY_US else _MOST_USUAL)

    def never_in_time(self, dts: int, until: int, now_us: int) -> bool:
        """Whether pictures like this one, which came when they were missing up to `until`, can only be shown later.

        They are further behind than an encoder holds any, and do not catch up: their stamps stood still.
        """
        came = (now_us - self._lost_us) * 9 // 100
        most, least = _PACE
        keep_pace = now_us - self._lost_us > _STEADY_US and (dts - self._lost_dts) * least < came * most
        return keep_pace and dts < until - _LATEST + VIDEO_TIMESCALE

    def _learn(self, dts: int, now_us: int, pause: int, most: int = _MOST_USUAL) -> None:
        """What a picture that came later than usual says: others may. Up to `pause` others may be as far apart."""
        waited = self._waited(now_us)
        if waited > self._recent and self._end is not None:
            late = waited if waited <= pause else waited - max(0, dts - self._end)
            if late <= _LATEST:
                self._recent = max(self._recent, min(late, most))

    def sound(self, end: int, now_us: int) -> int:
        """Sound came up to `end`. Up to where pictures are missing: a whole number of parts; 0: none are."""
        if end > self._heard:
            if not self._heard:
                self._heard_then, self._due = end, end + self._waits + self._part
            self._heard = end
        if self._heard < self._due or self._end is None:
            return 0
        waits = self._waits
        if (now_us - self._came_us) * 9 // 100 < waits + self._part:
            return 0
        return self._end + (self._heard - self._heard_then - waits) // self._part * self._part
