"""Triton's `dcif` and `filter_and_pool` against float64, with the tolerance of precision.py.

The interpreter is correct in float32 and float16; bfloat16 is tested on a GPU.
"""

import pytest
import torch
from draws import LAYOUTS, dcif_weights, normal
from precision import assert_accurate, cast, expected, gradients
from torch.nn import functional as F

from fer_edge.kernels import reference
from fer_edge.kernels.jit.dcif import forward_plan
from fer_edge.kernels.jit.dcif_backward import backward_plan
from fer_edge.kernels.jit.launch import DTYPE_NAMES
from fer_edge.kernels.reference import DcifWeights
from fer_edge.kernels.triton_ops import dcif, filter_and_pool

pytestmark = pytest.mark.usefixtures("nan_in_new_memory")
PRECISIONS = (torch.float32, torch.float16)
SIZES = [(8, (4, 4), 3), (24, (7, 7), 1), (40, (5, 9), 1)]
every_dtype = pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
both = pytest.mark.parametrize("operation", ["dcif", "filter_and_pool"])
FUNCTIONS = {
    "dcif": (
        lambda x, *weights: dcif(x, DcifWeights(*weights)),
        lambda x, *weights: reference.dcif(x, DcifWeights(*weights)),
    ),
    "filter_and_pool": (filter_and_pool, reference.filter_and_pool),
}


def draw(images, channels, size, dtype, layout="contiguous", seed=0):
    """Normal x [images, channels, *size]."""
    return normal(images, channels, *size, dtype=dtype, layout=layout, seed=seed)


def given(operation, x, seed=0):
    """The map and the other arguments of an operation, by name, in the dtype of x."""
    weights = dcif_weights(x.shape[1], seed=seed)
    if operation == "dcif":
        return {"x": x, **cast(weights, x.dtype)._asdict()}
    gate = torch.sigmoid(draw(len(x), x.shape[1], (), torch.float64, seed=seed + 50))
    return {"x": x, "gate": gate.to(x.dtype), "spatial_w": weights.spatial_w.to(x.dtype)}


def computed(function, inputs, upstream, dtype=None):
    """The output and the gradients of the inputs, by name."""
    leaves = {
        name: value.detach().to(dtype or value.dtype).requires_grad_() for name, value in inputs.items()
    }
    out = function(*leaves.values())
    return {"out": out.detach()} | gradients(out, upstream, leaves)


def check(operation, inputs, function=None):
    """The output and all gradients."""
    triton, plain = FUNCTIONS[operation]
    dtype = inputs["x"].dtype
    upstream = draw(*inputs["x"].shape[:2], (), dtype, seed=100)
    exact = expected(lambda: computed(plain, inputs, upstream, torch.float64), dtype, stored=torch.float32)
    for name, values in computed(function or triton, inputs, upstream).items():
        assert_accurate(name, values, exact[name])


@pytest.mark.slow
@pytest.mark.numeric
@both
@every_dtype
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("channels", "size", "images"), SIZES)
def test_output_and_gradients(operation, channels, size, images, dtype, seed):
    check(operation, given(operation, draw(images, channels, size, dtype, seed=seed), seed))


@pytest.mark.slow
@pytest.mark.numeric
@both
@every_dtype
def test_the_largest_map(operation, dtype):
    check(operation, given(operation, draw(1, 72, (14, 14), dtype)))


@pytest.mark.slow
@pytest.mark.numeric
@both
@every_dtype
def test_channels_last(operation, dtype):
    inputs = given(operation, draw(3, 24, (5, 3), dtype, "channels_last"))
    check(operation, inputs)
    dx = computed(FUNCTIONS[operation][0], inputs, draw(3, 24, (), dtype))["x"]
    assert dx.stride() == inputs["x"].stride()


@pytest.mark.slow
@both
def test_another_layout_gives_the_result_of_contiguous(operation):
    upstream = draw(3, 24, (), torch.float16, seed=1)
    plain, strided = (draw(3, 24, (5, 3), torch.float16, layout) for layout in ("contiguous", "strided"))
    expected = computed(FUNCTIONS[operation][0], given(operation, plain), upstream)
    for name, values in computed(FUNCTIONS[operation][0], given(operation, strided), upstream).items():
        assert torch.equal(values, expected[name]), name
        assert values.is_contiguous()


class InChunks(torch.autograd.Function):
    """`filter_and_pool` with plans that hold few elements at a time."""

    TILE = 4096

    @staticmethod
    def forward(ctx, x, gate, spatial_w) -> torch.Tensor:
        ctx.save_for_backward(x, gate, spatial_w)
        ctx.shape = (*x.shape[1:], DTYPE_NAMES[x.dtype], x.is_contiguous(memory_format=torch.channels_last))
        plan = forward_plan(*ctx.shape, gate_given=True, tile=InChunks.TILE)
        assert plan.launches[0].constants["block"] < x.shape[2] * x.shape[3] / 2, "too few chunks"
        return plan.run(len(x), x=x, gate=gate, spatial_w=spatial_w)["out"]

    @staticmethod
    def backward(ctx, dout) -> tuple[torch.Tensor, ...]:
        x, gate, spatial_w = ctx.saved_tensors
        plan = backward_plan(*ctx.shape, tile=2 * InChunks.TILE)
        assert plan.launches[0].constants["block"] < x.shape[2] * x.shape[3] / 2, "too few chunks"
        made = plan.run(len(x), x=x, gate=gate.float(), spatial_w=spatial_w, dout=dout)
        taps = torch.einsum("nkp,np->k", F.unfold(made["summary"], 7, padding=3), made["dspatial_logit"])
        return made["dx"], made["dgate"].to(x.dtype), taps.view(2, 7, 7).to(x.dtype)


@pytest.mark.slow
@pytest.mark.numeric
@every_dtype
@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_a_map_in_chunks(layout, dtype):
    inputs = given("filter_and_pool", draw(1, 24, (5, 7), dtype, layout))
    check("filter_and_pool", inputs, InChunks.apply)


@pytest.mark.numeric
@every_dtype
@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_a_map_and_hidden_units_in_chunks(layout, dtype):
    hidden = 5
    plan = forward_plan(24, 3, 5, DTYPE_NAMES[dtype], layout == "channels_last", hidden=hidden, tile=256)
    constants = plan.launches[0].constants
    assert constants["block"] == 4
    assert constants["block_hidden"] < hidden
    x, weights = draw(1, 24, (3, 5), dtype, layout), cast(dcif_weights(24, hidden), dtype)
    exact = expected(
        lambda: {"out": reference.dcif(x.double(), cast(weights, torch.float64))}, dtype, torch.float32
    )
    assert_accurate("out", plan.run(1, x=x, **weights._asdict())["out"], exact["out"])


@pytest.mark.slow
@pytest.mark.numeric
@both
@pytest.mark.parametrize(
    ("factor", "dtype"),
    [(1e10, torch.float32), (1e-10, torch.float32), (1e3, torch.float16), (1e-3, torch.float16)],
)
def test_large_and_small_numbers(operation, factor, dtype):
    check(operation, given(operation, (draw(1, 24, (4, 4), torch.float64) * factor).to(dtype)))


@pytest.mark.numeric
@every_dtype
def test_maps_below_zero(dtype):
    # The zeros that pad a tile must not be the maximum.
    check("filter_and_pool", given("filter_and_pool", -0.5 - draw(1, 24, (4, 5), dtype).abs()))


@pytest.mark.slow
@pytest.mark.numeric
@both
@every_dtype
@pytest.mark.parametrize("value", [0.0, 1.5])
def test_constant_maps(operation, value, dtype):
    check(operation, given(operation, torch.full((1, 8, 4, 4), value, dtype=dtype)))


@pytest.mark.numeric
@every_dtype
def test_channels_that_share_the_maximum_share_its_gradient(dtype):
    x = draw(2, 24, (4, 5), dtype)
    x[:, 1] = x[:, 17] = x[:, 20] = 3.5
    inputs = given("filter_and_pool", x)
    check("filter_and_pool", inputs | {"gate": torch.full_like(inputs["gate"], 0.75)})


@both
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's warning in the interpreter
def test_values_that_are_not_finite_stay_in_their_image_and_window(operation, bad):
    inputs = given(operation, draw(3, 8, (4, 10), torch.float32))
    inputs["spatial_w"] = inputs["spatial_w"].abs()
    triton, plain = FUNCTIONS[operation]
    clean = triton(*inputs.values())
    inputs["x"][1, 3, 2, 2] = bad
    got, expected = triton(*inputs.values()), plain(*inputs.values())
    assert not expected[1, 3].isfinite()
    if operation == "filter_and_pool" and bad == float("inf"):
        # The spatial gate is 1 in the window and unchanged elsewhere.
        assert expected[1, :3].isfinite().all()
    torch.testing.assert_close(got[1], expected[1], equal_nan=True)
    assert torch.equal(got[::2], clean[::2])


@both
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_images(operation, layout):
    inputs = given(operation, draw(3, 8, (4, 4), torch.float32, layout)[:0])
    got = computed(FUNCTIONS[operation][0], inputs, torch.empty(0, 8))
    assert got["out"].shape == (0, 8)
    for name, value in inputs.items():
        assert torch.equal(got[name], torch.zeros_like(value)), name


@pytest.mark.slow
@both
def test_bitwise_equal_when_repeated_and_for_any_batch_composition(operation):
    function, inputs = FUNCTIONS[operation][0], given(operation, draw(5, 8, (4, 4), torch.float16))
    upstream = draw(5, 8, (), torch.float16, seed=1)
    first, again = (computed(function, inputs, upstream) for _ in range(2))
    for name, values in first.items():
        assert torch.equal(values, again[name]), name
    for image in range(5):
        own = {n: v[image, None] if n in ("x", "gate") else v for n, v in inputs.items()}
        alone = computed(function, own, upstream[image, None])
        assert torch.equal(alone["out"][0], first["out"][image])
        # The other gradients of `dcif` depend on matrix products, whose summation order the library chooses.
        if operation == "filter_and_pool":
            assert torch.equal(alone["x"][0], first["x"][image])
            assert torch.equal(alone["gate"][0], first["gate"][image])


@both
def test_gradients_of_the_reference(operation):
    inputs = given(operation, draw(2, 8, (3, 4), torch.float64))
    leaves = [value.requires_grad_() for value in inputs.values()]
    assert torch.autograd.gradcheck(FUNCTIONS[operation][1], leaves, fast_mode=True)


@pytest.mark.slow
@both
@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_opcheck(operation, layout):
    inputs = given(operation, draw(2, 8, (4, 4), torch.float32, layout))
    leaves = [value.requires_grad_() for value in inputs.values()]
    torch.library.opcheck(getattr(torch.ops.fer_edge, operation), leaves)
    plain = [value.detach() for value in leaves]
    backward = getattr(torch.ops.fer_edge, f"{operation}_backward")
    torch.library.opcheck(backward, (draw(2, 8, (), torch.float32), *plain))


@pytest.mark.slow
@both
@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_compiled_by_pytorch(operation, layout):
    function, inputs = FUNCTIONS[operation][0], given(operation, draw(2, 8, (4, 4), torch.float32, layout))
    upstream = draw(2, 8, (), torch.float32, seed=1)
    eager = computed(function, inputs, upstream)
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for name, values in computed(compiled, inputs, upstream).items():
        assert torch.equal(values, eager[name]), name
        assert values.stride() == eager[name].stride(), name


def test_under_autocast_sums_stay_float32():
    inputs = given("dcif", draw(2, 8, (4, 4), torch.float32))
    upstream = draw(2, 8, (), torch.float32, seed=1)
    expected = computed(FUNCTIONS["dcif"][0], inputs, upstream)
    with torch.autocast("cpu", torch.bfloat16):
        got = computed(FUNCTIONS["dcif"][0], inputs, upstream)
    for name, values in expected.items():
        assert torch.equal(got[name], values), name
