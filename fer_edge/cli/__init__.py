"""The command line: `fer-edge predict | stream | benchmark | build | engines | doctor | models`.

Exit codes: 0 success; 1 some input failed or breaks off (the others are done), the source of `stream` was
lost, or `doctor` found a problem; 2 wrong usage, or the program could not start; 130 interrupted; 143 ended
by SIGTERM, where a video had to be finished. An error is one line on stderr, never a traceback.
"""

import argparse
import sys
from collections.abc import Sequence

import fer_edge
from fer_edge.cli import benchmark, build, engines, list_models, predict, stream
from fer_edge.cli.doctor import command as doctor
from fer_edge.cli.standard_streams import discard_stdout, prepare_streams


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. Wrong usage raises SystemExit(2), as in argparse."""
    prepare_streams()
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        # Flush inside the try, to catch a closed pipe.
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `fer-edge ... | head` closes the pipe; this is no error worth a message.
        discard_stdout()
        return 1
    except OSError as error:
        if error.filename is not None:
            print(f"fer-edge: {error.filename} cannot be used: {error.strerror}", file=sys.stderr)
            return 1
        # Without a name it is stdout, because stderr has no errors: a full disk.
        discard_stdout()
        print(f"fer-edge: the output cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fer-edge",
        description="Facial-expression recognition on this machine; nothing is downloaded or sent.",
        epilog="exit codes: 0 success, 1 an input failed or something is missing, 2 wrong usage or no start, "
        "130 Ctrl-C, 143 SIGTERM",
    )
    parser.add_argument("--version", action="version", version=f"fer-edge {fer_edge.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module, text in (
        ("predict", predict, "recognize the expression of every face in pictures and videos"),
        ("stream", stream, "follow faces over a camera, video, folder or URL"),
        ("benchmark", benchmark, "measure this machine: time, memory, faces at a frame rate"),
        ("build", build, "build engines for an NVIDIA GPU"),
        ("engines", engines, "list, verify or prune built engines"),
        ("doctor", doctor, "check the installation"),
        ("models", list_models, "list the embedded models"),
    ):
        command = commands.add_parser(name, help=text, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
