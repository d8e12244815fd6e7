"""`python -m coordinator coordinator` runs the control plane."""

import sys

from coordinator.role import main

sys.exit(main(sys.argv[1:]))
