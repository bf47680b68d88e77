"""Shapes from the command line: other networks, and shapes that are not supported."""

import re

import pytest


@pytest.mark.parametrize(
    ("text", "settings", "batches"),
    [
        ("multi_branch_attention:384x6x5", {}, (4, 8)),
        ("dcif:384x6x5:hidden=24", {"hidden": 24}, ()),
        ("token_attention:384x6x5:heads=12", {"heads": 12, "epsilon": 1e-5}, ()),
        ("token_attention:384x6x5:epsilon=1e-6:heads=12", {"heads": 12, "epsilon": 1e-6}, ()),
    ],
)
def test_a_shape_has_its_plans(text: str, settings: dict[str, float], batches: tuple[int, ...]) -> None:
    from export.ahead_of_time.kernel_shapes import plans_from_shapes, shape_from_text

    shape = shape_from_text(text)
    assert shape.arguments() == {"channels": 384, "height": 6, "width": 5, **settings}
    assert list(shape.arguments())[3:] == list(settings)
    plans = list(plans_from_shapes([shape], ["fp16"], [False]))
    assert [entry.images for entry in plans] == list(batches or (None,))
    assert {entry.plan.operation for entry in plans} == {text.split(":")[0]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dcif", "a shape must be OPERATION:CxHxW"),
        ("dcif:384x6", "a shape must be OPERATION:CxHxW"),
        ("dcif:99999x6x6:hidden=24", "a shape must be OPERATION:CxHxW"),
        ("softmax:384x6x6", "one of multi_branch_attention, dcif, token_attention as its OPERATION"),
        ("dcif:384x6x6", "dcif needs hidden, say hidden=NUMBER"),
        ("dcif:384x6x6:heads=12", "dcif knows hidden, got heads=12"),
        ("multi_branch_attention:384x6x6:hidden=24", "knows no settings, got hidden=24"),
        ("dcif:384x6x6:hidden=many", "dcif needs a number for hidden, got 'many'"),
        ("dcif:384x6x6:hidden=0", "dcif needs hidden above zero, got 0"),
        ("token_attention:384x6x6:heads=12:epsilon=nan", "needs epsilon above zero, got nan"),
        ("token_attention:384x6x6:heads=7", "heads must divide the 384 channels, got 7"),
        ("token_attention:384x9x8:heads=12", "at most 64 positions, got 72"),
        ("dcif:380x6x6:hidden=24", "C a multiple of 8 up to 2048, got 380"),
        ("dcif:384x15x6:hidden=24", "1 to 14 positions per side"),
    ],
)
def test_unsupported_shapes_are_reported(text: str, message: str) -> None:
    from export.ahead_of_time.kernel_shapes import shape_from_text

    with pytest.raises(ValueError, match=re.escape(message)):
        shape_from_text(text)
