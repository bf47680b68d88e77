"""The command line: `fer-edge predict | doctor | models`.

Exit codes: 0 all done; 1 some input failed (the others are done), or `doctor` found something missing; 2
wrong usage, or nothing could run; 130 interrupted. Errors are one line on stderr, never a traceback.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence

import fer_edge
from fer_edge.cli import doctor, list_models, predict


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; as argparse does, wrong usage raises SystemExit(2)."""
    for stream in (sys.stdout, sys.stderr):
        # A file name that the terminal cannot show is no reason to stop.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        # Here, so that a closed pipe shows up inside the try.
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `fer-edge ... | head` closes the pipe: say nothing, also not when Python flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fer-edge",
        description="Facial expressions in pictures, on this machine; nothing is downloaded or sent.",
        epilog="exit codes: 0 all done, 1 an input failed or something is missing, 2 wrong usage or no start",
    )
    parser.add_argument("--version", action="version", version=f"fer-edge {fer_edge.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module, text in (
        ("predict", predict, "name the expression of every face in pictures"),
        ("doctor", doctor, "what is installed, what would run, what is missing"),
        ("models", list_models, "the models that ship with the package"),
    ):
        command = commands.add_parser(name, help=text, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
