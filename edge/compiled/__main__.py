"""For the launcher: prints the folder that belongs to these sources; with one as argument, tries to load that."""

import sys
from pathlib import Path

from edge import compiled

if sys.argv[1:]:
    compiled.load_all(Path(sys.argv[1]))
else:
    sys.stdout.write(f"{compiled.folder()}\n")
