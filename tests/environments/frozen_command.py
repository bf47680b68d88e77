"""The command line as an application that `make test-frozen` packs."""

import sys

from fer_edge.cli import main

sys.exit(main())
