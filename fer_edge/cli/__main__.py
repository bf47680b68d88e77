"""`python -m fer_edge.cli` runs `fer-edge`."""

import sys

from fer_edge.cli import main

sys.exit(main())
