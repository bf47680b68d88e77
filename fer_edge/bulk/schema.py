"""The columns of the results: one row for each face; docs/bulk.md describes them.

A picture or frame without faces has one row with `face` null, and an input that failed has one with `error`,
so that no input is missing.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from fer_edge.result import Face

# Is raised when a column changes or goes away; a new column alone does not raise it.
VERSION = 1


def schema_of(labels: Sequence[str]) -> pa.Schema:
    """Returns the schema of the results of a model with these expressions."""
    return pa.schema(
        [
            pa.field("source", pa.string(), nullable=False),
            ("index", pa.int64()),
            ("time_s", pa.float64()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("face", pa.int32()),
            ("id", pa.int64()),
            *((name, pa.float32()) for name in ("x0", "y0", "x1", "y1")),
            ("landmarks", pa.list_(pa.float32())),
            ("score", pa.float32()),
            ("label", pa.string()),
            ("confidence", pa.float32()),
            ("abstain_reason", pa.string()),
            ("probabilities", pa.struct([(label, pa.float32()) for label in labels])),
            ("note", pa.string()),
            ("error", pa.string()),
        ]
    )


def rows_of_faces(common: dict[str, object], faces: Sequence[Face]) -> list[dict[str, Any]]:
    """Returns the rows of one picture or frame; `common` holds the columns that all of them share."""
    if not faces:
        return [common]
    return [common | {"face": number} | _columns_of_face(face) for number, face in enumerate(faces, 1)]


def _columns_of_face(face: Face) -> dict[str, Any]:
    return {
        "id": getattr(face, "id", None),
        **dict(zip(("x0", "y0", "x1", "y1"), face.box, strict=True)),
        "landmarks": [value for point in face.landmarks for value in point],
        "score": face.score,
        "label": face.label,
        "confidence": face.confidence,
        "abstain_reason": face.abstain_reason,
        "probabilities": face.probabilities,
    }


def table_from_rows(rows: Iterable[dict[str, Any]], schema: pa.Schema, batch: int = 4096) -> pa.Table:
    """Returns the rows as a table; only `batch` of them exist as Python objects at a time."""
    batches: list[pa.RecordBatch] = []
    kept: list[dict[str, Any]] = []
    for row in rows:
        kept.append(row)
        if len(kept) == batch:
            batches.append(pa.RecordBatch.from_pylist(kept, schema))
            kept = []
    return pa.Table.from_batches([*batches, pa.RecordBatch.from_pylist(kept, schema)], schema)
