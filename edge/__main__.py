"""`python -m edge ROLE` runs one role of the edge."""

import sys

from edge.app import main

sys.exit(main(sys.argv[1:]))
