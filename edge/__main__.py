"""`python -m edge ROLE` runs one role of the edge."""

import sys

from edge import compiled

if sys.argv[1:2] == ["ingest"]:
    compiled.use()  # before anything imports one of those modules

from edge.app import main

sys.exit(main(sys.argv[1:]))
