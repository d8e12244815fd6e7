"""Lets these tests use the bytes of the protocol tests."""

import sys
from pathlib import Path

_UNIT = Path(__file__).parents[2]
for folder in (_UNIT / "protocols" / "webrtc", _UNIT / "ingest"):
    sys.path.insert(0, str(folder))
