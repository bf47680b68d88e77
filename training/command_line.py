"""What the commands of training and export share: an expected failure is one line, not a traceback."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from fer_edge.backends.cuda.device import DeviceError
from fer_edge.models import ModelError


@contextmanager
def exit_on_error(parser: argparse.ArgumentParser) -> Iterator[None]:
    """Ends the program with exit code 2 and the message of an error in an input, a file or an
    installation.
    """
    try:
        yield
    except (ValueError, OSError, ImportError, ModelError, DeviceError) as error:
        parser.error(str(error))
