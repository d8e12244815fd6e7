"""An answer as frames, made once for all who get it: only the stream's number is filled in."""

from edge.protocols.http2.frames import MAX_FRAME, Flag, Kind, prefix


class Answer:
    """`block`: the encoded header fields, which belong into one frame. `pieces`: the body, which is shared."""

    __slots__ = ("block", "body", "data", "head", "head_only", "pieces", "size")

    def __init__(self, block: bytes, pieces: tuple[bytes, ...]) -> None:
        if len(block) > MAX_FRAME:
            raise ValueError("answer with too many header fields")
        self.block = block
        self.pieces = pieces
        self.size = sum(len(piece) for piece in pieces)
        self.head_only = prefix(len(block), Kind.HEADERS, Flag.END_HEADERS | Flag.END_STREAM)
        self.head = prefix(len(block), Kind.HEADERS, Flag.END_HEADERS)
        # Header block and the beginning of the DATA frame between the two numbers of the stream.
        self.data = block + prefix(self.size, Kind.DATA, Flag.END_STREAM) if 0 < self.size <= MAX_FRAME else b""
        self.body = b"".join(pieces) if self.data else b""
