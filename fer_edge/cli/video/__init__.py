"""Video files of the command line: written, processed, reported."""
