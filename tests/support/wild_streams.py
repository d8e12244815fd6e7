"""Streams of an encoder that does most things wrong, and what ingest makes of them, as a digest.

`python -m tests.support.wild_streams FIRST LAST` prints a line for each seed: its digest, how many messages for the
log came out, and what was raised. Where the compiled modules are named in the environment it uses them.
"""

import hashlib
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge import compiled

_COMPILED = compiled.use()  # before anything imports the modules

from edge.ingest.packager import Packager, PackagerConfig  # noqa: E402
from edge.ingest.rendition import Append  # noqa: E402
from edge.protocols import amf  # noqa: E402
from edge.protocols.codecs import opus  # noqa: E402
from edge.protocols.flv import TagKind, audio_tag, video_tag  # noqa: E402
from edge.protocols.rtmp import AudioData, Event, Metadata, PublishRequested, RtmpConnection, VideoData  # noqa: E402
from edge.protocols.rtmp.chunks import ChunkWriter, Message  # noqa: E402

_VIDEO, _AUDIO, _DATA, _COMMAND, _AGGREGATE, _SET_CHUNK_SIZE = 9, 8, 18, 20, 22, 1
_STAMPS, _CTS = 1 << 32, 1 << 23
_AVC = bytes.fromhex("0142c01effe100196742c01ed900a02ff970110000030001000003003c0f162e4801000568cb83cb20")
_OTHER_AVC = bytes.fromhex(
    "01640028ffe1001967640028acd940780227e5c38400000fa40003a9803c60c65801000668ebe3cb22c0fdf8f800"
)
_AV1 = bytes.fromhex("81000c000a0b00000004473ffff9b20080")
_FOUR_CC = {"avc": "avc1", "enhanced": "avc1", "hevc": "hvc1", "av1": "av01", "tracks": "avc1"}
_ODD_VALUES = [float("nan"), float("inf"), -1.0, -0.0, 1e308, 1e-320, 59.94, 30.0, "30", "", None, True, {}, []]
_NAMES = ["width", "height", "framerate", "videodatarate", "audiosamplerate", "videocodecid", "encoder"]
_ODD_UNITS: list[list[int]] = [[6, 0x65], [9, 0x41], [0x67], [1, 0x65], [0x65, 0x41], [], [0], [31]]
_T0_US = 1_700_000_000_000_000


@dataclass
class _Habits:
    """How one encoder goes wrong."""

    chance: random.Random
    codec: str = ""
    fps: int = 30
    gop: int = 60
    stray: float = 0.0  # share of stamps that are wrong
    sound: bytes = b"\xaf\1"
    cts: list[int] = field(default_factory=lambda: [0])

    def __post_init__(self) -> None:
        draw = self.chance.choice
        self.codec = draw(["avc", "avc", "avc", "enhanced", "hevc", "av1", "tracks"])
        self.fps, self.gop = draw([1, 5, 15, 30, 60, 1000]), draw([1, 5, 30, 60, 250, 1 << 30])
        self.stray = draw([0.0, 0.0, 0.01, 0.1, 0.5])
        self.sound = draw([b"\xaf\1", b"\xaf\1", audio_tag("Opus", TagKind.FRAME, data=b"\xf8"), b"\x2f"])
        self.cts = draw([[0], [0, 33, 66], [-33, 0, 66, -1000], [0, -_CTS, _CTS - 1, 17]])

    def happens(self, share: float) -> bool:
        """With this probability."""
        return self.chance.random() < share

    def picture(self, *, key: bool) -> bytes:
        """A video body."""
        if self.happens(0.03):
            return self.chance.randbytes(self.chance.randrange(20))
        kinds = self.chance.choice(_ODD_UNITS) if self.happens(0.1) else [0x65 if key else 0x41]
        units = [bytes([kind]) + self.chance.randbytes(self.chance.choice([0, 3, 200])) for kind in kinds]
        data = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
        cts = self.chance.choice(self.cts)
        if self.codec == "avc":
            return (b"\x17\1" if key else b"\x27\1") + (cts % (2 * _CTS)).to_bytes(3, "big") + data
        return self._enhanced(TagKind.FRAME, data, key=key, cts_ms=cts)

    def picture_config(self) -> bytes:
        """A video body with a configuration, at times a wrong one."""
        record = bytearray(_AV1 if self.codec == "av1" else self.chance.choice([_AVC, _AVC, _OTHER_AVC, b""]))
        if record and self.happens(0.1):
            record[self.chance.randrange(len(record))] = self.chance.randrange(256)
        if self.codec == "avc":
            return b"\x17\0\0\0\0" + bytes(record)
        return self._enhanced(TagKind.CONFIG, bytes(record), key=True)

    def _enhanced(self, kind: TagKind, data: bytes, *, key: bool, cts_ms: int = 0) -> bytes:
        track = self.chance.randrange(3) if self.codec == "tracks" else 0
        return video_tag(_FOUR_CC[self.codec], kind, key=key, cts_ms=cts_ms, data=data, track=track)

    def sound_config(self) -> bytes:
        """An audio body with a configuration, at times a wrong one."""
        opus_config = audio_tag("Opus", TagKind.CONFIG, data=opus.config(2))
        odd = self.chance.randbytes(4)
        return self.chance.choice([b"\xaf\0\x11\x90", b"\xaf\0\x12\x10", b"\xaf\0", opus_config, b"\xaf\0" + odd])

    def sound_frame(self) -> bytes:
        """An audio body."""
        if self.happens(0.03):
            return self.chance.randbytes(self.chance.randrange(20))
        return self.sound + self.chance.randbytes(self.chance.choice([1, 4, 40]))

    def metadata(self) -> bytes:
        """onMetaData with values of any kind."""
        draw = self.chance
        values = {draw.choice(_NAMES): draw.choice(_ODD_VALUES) for _ in range(draw.randrange(8))}
        return amf.encode(["@setDataFrame", "onMetaData", values])

    def strayed(self, stamp: int) -> int:
        """A stamp, or a wrong one in its place."""
        if not self.happens(self.stray):
            return stamp
        near = stamp + self.chance.randrange(-3000, 3000)
        return self.chance.choice([0, 0xFFFFFF, near, near, self.chance.randrange(_STAMPS)])


def _media(habits: _Habits) -> Iterator[tuple[int, int, bytes]]:
    """Message types, stamps and bodies: both tracks with pauses, jumps and new configurations."""
    draw = habits.chance
    base = draw.choice([0, 0, 5000, 0xFFFFFF - 500, _STAMPS - 500, 1 << 31])
    has_video, has_audio = draw.choice([(True, True)] * 6 + [(True, False), (False, True)])
    configs = [(_DATA, habits.metadata), (_VIDEO, habits.picture_config), (_AUDIO, habits.sound_config)]
    for kind, make in configs[: 1 + has_video + has_audio]:
        yield kind, base, make()
    sounds, silent, blind = 0, 0, 0
    for number in range(draw.choice([40, 120, 400])):
        at = number * 1000 // habits.fps
        base += draw.choice([-5000, 200, 5000, 3_600_000]) if habits.happens(0.005) else 0
        kind, make = draw.choice(configs)
        if habits.happens(0.03):
            yield kind, base + at, make()
        blind = draw.randrange(100) if habits.happens(0.01) else max(0, blind - 1)
        silent = draw.randrange(100) if habits.happens(0.01) else max(0, silent - 1)
        if has_video and not blind:
            yield _VIDEO, base + habits.strayed(at), habits.picture(key=number % habits.gop == 0)
        while has_audio and sounds * 64 // 3 <= at and sounds < 2000:
            if not silent:
                yield _AUDIO, base + habits.strayed(sounds * 64 // 3), habits.sound_frame()
            sounds += 1
        if habits.happens(0.003):
            yield draw.choice([0, 3, 4, 5, 6, 15, 17, 255]), base, draw.randbytes(draw.randrange(20))


def _wire(habits: _Habits) -> Iterator[bytes]:
    """The bytes of a connection, in messages."""
    draw, writer = habits.chance, ChunkWriter()
    harm = draw.choice([0.0, 0.0, 0.0, 0.0005, 0.01])
    yield b"\3" + bytes(3072)
    connect: list[amf.AmfValue] = ["connect", 1.0, {"app": "live", "tcUrl": "rtmp://h/live"}]
    yield writer.write(3, Message(_COMMAND, 0, 0, amf.encode(connect)))
    yield writer.write(3, Message(_COMMAND, 0, 0, amf.encode(["createStream", 2.0, None])))
    yield writer.write(3, Message(_COMMAND, 1, 0, amf.encode(["publish", 3.0, None, "key"])))
    for kind, at, body in _media(habits):
        stamp = at % _STAMPS
        if habits.happens(0.01):
            size = draw.choice([1, 64, 128, 4096, 1 << 24])
            yield writer.write(2, Message(_SET_CHUNK_SIZE, 0, 0, size.to_bytes(4, "big")))
            writer.chunk_size = size
        message = Message(kind, 1, stamp, body)
        if habits.happens(0.02):
            head = bytes([kind]) + len(body).to_bytes(3, "big") + (stamp & 0xFFFFFF).to_bytes(3, "big")
            part = head + bytes([stamp >> 24]) + bytes(3) + body + (len(body) + 11).to_bytes(4, "big")
            message = Message(_AGGREGATE, 1, stamp, part * draw.choice([1, 2]) + bytes(draw.choice([0, 3])))
        data = bytearray(writer.write(draw.choice([4, 6, 63]), message))
        if habits.happens(harm):
            data[draw.randrange(len(data))] = draw.randrange(256)
        yield bytes(data)


class Ingested:
    """What comes out of reader and packager, fed with one stream in pieces of any size."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._connection = RtmpConnection(0.0)
        fine, repair = self._chance.random() < 0.5, self._chance.random() < 0.5
        self._packager = Packager(PackagerConfig(fine=fine, repair=repair))
        self._digest = hashlib.sha256()
        self._now_us = _T0_US
        self.appends = 0

    def run(self) -> str:
        """Returns the digest of all that can be seen."""
        data, at = b"".join(_wire(_Habits(self._chance))), 0
        while at < len(data) and not self._connection.closed:
            size = self._chance.choice([100, 1500, 9000, 65_536])
            self._connection.receive_data(data[at : at + size], at / 1e6)
            at += size
            for event in self._connection.events():
                self._event(event)
            self._note(self._connection.data_to_send(), self._connection.missing)
        self._take(self._packager.finish(now_us=self._now_us))
        packager = self._packager
        self._note(packager.problems, packager.quirks, packager.target_duration_s, packager.needs_repair)
        self._note({name: output.inits for name, output in packager.renditions.items()})
        return self._digest.hexdigest()[:16]

    def _event(self, event: Event) -> None:
        self._now_us += self._chance.choice([0, 10_000, 33_000])
        self._note(event)
        if isinstance(event, PublishRequested):
            self._connection.accept_publish(0.0)
        elif isinstance(event, VideoData):
            self._take(self._packager.video(event.timestamp, event.body, now_us=self._now_us))
        elif isinstance(event, AudioData):
            self._take(self._packager.audio(event.timestamp, event.body, now_us=self._now_us))
        elif isinstance(event, Metadata):
            self._packager.metadata(event.values)

    def _take(self, appends: list[Append]) -> None:
        for append in appends:
            self._note(append.rendition, append.header, append.data)
        self.appends += len(appends)

    def _note(self, *seen: object) -> None:
        self._digest.update(repr(seen).encode())


def main() -> None:
    """See the module's docstring."""
    print("compiled" if _COMPILED else "interpreted", file=sys.stderr)
    for seed in range(int(sys.argv[1]), int(sys.argv[2])):
        ingested, digest, raised = Ingested(seed), "", ""
        try:
            digest = ingested.run()
        except Exception as error:  # noqa: BLE001 - what one raises the other must
            raised = repr(error)
        print(seed, digest, ingested.appends, raised)


if __name__ == "__main__":
    main()
