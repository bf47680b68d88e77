"""List the models embedded in the package: role, size, licence, metrics and hash."""

import argparse
import json
import sys
from dataclasses import asdict

from fer_edge import models
from fer_edge.installation.repair_commands import RESTORE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `models`."""
    parser.add_argument("--json", action="store_true", help="print all fields as one JSON array")


def run(options: argparse.Namespace) -> int:
    """Runs `fer-edge models` and returns its exit code."""
    try:
        found = [models.read(models.WEIGHTS / f"{name}.onnx") for name in models.embedded()]
    except models.ModelError as error:
        print(f"fer-edge: {error}", file=sys.stderr)
        return 2
    if not found:
        print(f"fer-edge: no embedded models; {RESTORE}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([_record(model) for model in found], indent=2))
        return 0
    for model in found:
        print("\n".join(_lines(model)))
    return 0


def _record(model: models.ModelFile) -> dict[str, object]:
    properties = asdict(model) | {"path": str(model.path)}
    spec: dict[str, object] = properties.pop("spec")
    return spec | properties


def _lines(model: models.ModelFile) -> list[str]:
    spec = model.spec
    size = f"{model.size_bytes / 1000:,.0f} kB, {model.parameters:,} parameters, {model.precision}"
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in spec.metrics.items())
    return [
        f"{model.path.stem}  ({spec.role}, version {spec.version})",
        f"  size     {size}",
        f"  licence  {spec.licence}",
        f"  source   {spec.source}",
        f"  metrics  {metrics or 'none stated'}",
        f"  sha256   {model.sha256}",
        "",
    ]
