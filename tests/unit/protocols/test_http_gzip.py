"""gzip of pieces that were compressed apart."""

import gzip

from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.http.gzip import Piece, joined


@given(st.lists(st.binary(max_size=3000), max_size=6))
def test_pieces_make_one_gzip_file(texts):
    pieces = [Piece(text) for text in texts]
    assert gzip.decompress(joined(pieces)) == b"".join(texts)
    assert joined(pieces) == joined(pieces), "equal input gives equal bytes"


def test_a_piece_is_compressed_once():
    piece = Piece(b"line\n" * 1000)
    assert piece.packed() is piece.packed()
    assert len(joined([piece] * 3)) < 500
