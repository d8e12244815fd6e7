"""The Huffman code of header strings (RFC 7541, 5.2 and appendix B), decoded four bits at a time."""

from edge.protocols.http2.errors import ErrorCode, Http2Error

# The code is canonical: the length of each symbol's code says everything. Symbols 0 to 255, then EOS.
_LENGTHS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b08060606"
    "0505050606060606060607080f060c0a0d06070707070707070707070707070707070707070707070807080d130d0e06"
    "0f05060506050606060507070606060506070605050607070707070f0b0e0d1c14161414161616171617171717171817"
    "181816171817171717151617161717181615141616171715171616181516171715151615171617171416161617161617"
    "1a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b14181415161515171616191918181a17"
    "1a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a1e"
)
_EOS = 256
_PADDING = 7  # most bits of padding, all of them ones

_Step = tuple[int, bytes] | None  # the next state and the symbol that ended, or EOS


def _codes() -> list[tuple[int, int, int]]:
    """(symbol, code, length) in the order of the code."""
    found = []
    code = length = 0
    for symbol in sorted(range(len(_LENGTHS)), key=lambda one: (_LENGTHS[one], one)):
        code <<= _LENGTHS[symbol] - length
        length = _LENGTHS[symbol]
        found.append((symbol, code, length))
        code += 1
    return found


def _tree() -> tuple[list[list[int]], set[int]]:
    """Nodes with their children, symbols as -1 - symbol; and the nodes at which a string may end."""
    nodes: list[list[int]] = [[0, 0]]
    for symbol, code, length in _codes():
        at = 0
        for bit in range(length - 1, 0, -1):
            side = code >> bit & 1
            if not nodes[at][side]:
                nodes.append([0, 0])
                nodes[at][side] = len(nodes) - 1
            at = nodes[at][side]
        nodes[at][code & 1] = -1 - symbol
    ends, at = {0}, 0
    for _ in range(_PADDING):
        at = nodes[at][1]
        ends.add(at)
    return nodes, ends


def _steps() -> tuple[list[list[_Step]], set[int]]:
    nodes, ends = _tree()
    return [[_step(nodes, state, nibble) for nibble in range(16)] for state in range(len(nodes))], ends


def _step(nodes: list[list[int]], state: int, nibble: int) -> _Step:
    symbol = b""
    for bit in (8, 4, 2, 1):
        state = nodes[state][1 if nibble & bit else 0]
        if state < 0:
            if -1 - state == _EOS:
                return None
            symbol, state = bytes([-1 - state]), 0  # codes have five bits at least: one symbol ends at most
    return state, symbol


_STEPS, _ENDS = _steps()


def decode(data: bytes) -> bytes:
    """The string. Http2Error(COMPRESSION_ERROR) for EOS inside it and for padding that is none (5.2)."""
    state = 0
    out = []
    for byte in data:
        for nibble in (byte >> 4, byte & 15):
            step = _STEPS[state][nibble]
            if step is None:
                raise Http2Error(ErrorCode.COMPRESSION_ERROR, "end of string inside a string")
            state, symbol = step
            if symbol:
                out.append(symbol)
    if state not in _ENDS:
        raise Http2Error(ErrorCode.COMPRESSION_ERROR, "bad padding of a string")
    return b"".join(out)
