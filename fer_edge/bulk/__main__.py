"""The process of `python -m fer_edge.bulk`. Ctrl-C ends it with exit code 130; what was written stays."""

import sys

from fer_edge.__main__ import main


def _command_line() -> int:
    from fer_edge.bulk import command

    return command.main()


if __name__ == "__main__":
    sys.exit(main(_command_line))
