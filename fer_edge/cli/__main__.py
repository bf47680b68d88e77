"""`python -m fer_edge.cli` is `fer-edge`."""

import sys

from fer_edge.cli import main

sys.exit(main())
