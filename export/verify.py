"""Checks a file against its reference: ``python -m export.verify FILE REFERENCE --data DATA``.

Any precision and flavour, on any backend of the runtime. Prints one line and exits with 1 where a limit of
the precision is broken, or where FILE, REFERENCE or DATA are not those of ``--certificate``.
"""

import argparse
import json
import sys
from pathlib import Path

from export import onnx_metadata
from export.blocks import flavour_of
from export.certificates import certificate
from export.certificates.certificate import Artefact
from export.certificates.networks import BACKENDS, GRAPH
from export.certificates.pictures import pictures_from_folder
from export.precisions import precision_of
from fer_edge import models
from training.command_line import exit_on_error

IDENTITY = ("file_sha256", "graph_sha256", "reference_graph_sha256", "data_sha256")


def problems(args: argparse.Namespace) -> list[str]:
    """Measures the file, prints its line, and returns what is wrong."""
    path, reference = map(models.path_of, (args.file, args.reference))
    proto, spec = onnx_metadata.read_with_metadata(path, role=None)
    _, other = onnx_metadata.read_with_metadata(reference, role=None)
    onnx_metadata.check_same_use(args.file, spec, args.reference, other)
    artefact = Artefact(path, spec, precision_of(proto), flavour_of(proto), args.backend)
    pictures = pictures_from_folder(args.data, other).certificate()
    measured = certificate.measure(artefact, reference, pictures, args.engines)
    content = certificate.certificate(artefact, reference, pictures, measured)
    engine = args.backend if artefact.arithmetic == artefact.precision else f"{args.backend} in bfloat16"
    print(f"{certificate.summary(artefact, measured)} (on {engine})")
    if args.out:
        certificate.write(content, args.out)
    found = artefact.limits.broken_by(measured)
    if args.certificate:
        certified = json.loads(args.certificate.read_text(encoding="utf-8"))
        found += [
            f"{key} is {str(content[key])[:12]}, certified is {str(certified.get(key))[:12]}"
            for key in IDENTITY
            if content[key] != certified.get(key)
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="file of export.convert, or an embedded model")
    parser.add_argument("reference", help="its float32 file, or an embedded model")
    parser.add_argument("--data", type=Path, required=True, help="pictures, as for export.convert")
    parser.add_argument("--backend", choices=BACKENDS, default=GRAPH, help="what computes FILE")
    parser.add_argument("--engines", type=Path, help="folder of engines (default: the user's cache)")
    parser.add_argument("--certificate", type=Path, help="of export.convert; its hashes must be these files'")
    parser.add_argument("--out", type=Path, help="where to write this measurement as a certificate")
    args = parser.parse_args()
    with exit_on_error(parser):
        found = problems(args)
    for problem in found:
        print(f"{args.file}: {problem}", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
