"""The process of `python -m fer_edge.bulk`. Ctrl-C ends it with exit code 130; what was written stays."""

import sys

from fer_edge import __main__ as process


def _command_line() -> int:
    from fer_edge.bulk import command

    return command.main()


def main() -> int:
    """Runs the job and returns the exit code of the process."""
    return process.main(_command_line)


if __name__ == "__main__":
    sys.exit(main())
