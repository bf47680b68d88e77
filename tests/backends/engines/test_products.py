"""Products and targets. Installations are doubles: modules that only have a version."""

import re
from pathlib import Path

import pytest
from made_plans import ORIN, RTX_4090, TURING

from fer_edge.backends.engines import products
from fer_edge.backends.engines.products import TENSORRT, TENSORRT_RTX, load, target_for, version_numbers
from fer_edge.installation.repair_commands import install_extra


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a module with a version, or one that cannot be imported."""
    monkeypatch.setattr(products, "PRODUCTS", products.PRODUCTS)
    monkeypatch.syspath_prepend(tmp_path)
    names: list[str] = []

    def install(name: str, code: str) -> None:
        monkeypatch.delitem(products.importlib.sys.modules, name, raising=False)  # type: ignore[attr-defined]
        (tmp_path / f"{name}.py").write_text(code)
        products.importlib.invalidate_caches()
        names.append(name)

    yield install
    import sys

    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("version", ["10.3.0", "10.13.3.9.post1", "11.4.0.106"])
def test_supported_versions(install, version: str) -> None:
    install("tensorrt", f"__version__ = {version!r}")
    assert load(TENSORRT).__version__ == version
    assert products.installed_version(TENSORRT) == version


@pytest.mark.parametrize("version", ["8.6.1", "10.1.0", "10.2.0.post1", "12.0.0", "unknown"])
def test_other_versions(install, version: str) -> None:
    install("tensorrt", f"__version__ = {version!r}")
    with pytest.raises(
        ImportError, match=rf"tensorrt must be >= 10.3, < 12, found {version} in .*; on Jetson"
    ):
        load(TENSORRT)
    assert products.installed_version(TENSORRT) is None


def test_a_product_whose_libraries_are_missing(install) -> None:
    install("tensorrt", "raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    with pytest.raises(
        ImportError, match=r"tensorrt cannot be loaded \(libnvinfer.so.10: .*\); on Jetson it is"
    ):
        load(TENSORRT)


def test_either_package_of_tensorrt_for_rtx_will_do(install) -> None:
    install("tensorrt_rtx_bindings", "__version__ = '1.7.1.116'")
    assert load(TENSORRT_RTX).__version__ == "1.7.1.116"
    install("tensorrt_rtx", "__version__ = '1.8.0.1'")
    assert load(TENSORRT_RTX).__version__ == "1.8.0.1"


def test_a_missing_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_module", lambda product: None)
    with pytest.raises(
        ImportError, match=re.escape(f"tensorrt-rtx is not installed; {install_extra('rtx')}")
    ):
        load(TENSORRT_RTX)


def test_targets() -> None:
    rtx, turing = target_for("rtx"), target_for("turing")
    assert [t.product for t in (rtx, turing)] == [TENSORRT_RTX] * 2
    assert [rtx.accepts(gpu) for gpu in (RTX_4090, TURING, ORIN)] == [True, False, False]
    assert [turing.accepts(gpu) for gpu in (RTX_4090, TURING, ORIN)] == [False, True, False]
    assert target_for("this", "tensorrt").accepts(ORIN)


@pytest.mark.parametrize(
    ("present", "product"),
    [
        (("tensorrt", "tensorrt_rtx"), TENSORRT),
        (("tensorrt_rtx",), TENSORRT_RTX),
        ((), TENSORRT),
    ],
)
def test_this_machine_is_for_the_product_that_is_installed(
    present: tuple[str, ...], product: products.Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        products, "_module", lambda product: next((m for m in product.modules if m in present), None)
    )
    assert target_for("this").product == product
    assert target_for("this", "tensorrt-rtx").product == TENSORRT_RTX


@pytest.mark.parametrize(("name", "product"), [("orin", None), ("rtx", "tensorrt")])
def test_unknown_targets(name: str, product: str | None) -> None:
    with pytest.raises(ValueError, match=rf"the target.* must be one of rtx, turing, this, got '{name}'"):
        target_for(name, product)


def test_versions_as_numbers() -> None:
    assert version_numbers("10.13.3.9.post1") == (10, 13, 3, 9)
    assert version_numbers("dev") == ()
