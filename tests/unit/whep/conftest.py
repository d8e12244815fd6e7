"""Lets these tests use the bytes of the protocol tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "protocols" / "webrtc"))
