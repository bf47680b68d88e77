"""What `make wheels` refuses, on made-up wheels: each has one fault."""

import hashlib
import zipfile

import pytest

from release.contents import problems

EXTENSION = "_core.cpython-312-aarch64-linux-gnu.so"
NETWORK = b"a network"
RIGHT = {
    "fer_edge/__init__.py": b"",
    "fer_edge/py.typed": b"",
    "fer_edge/_core.pyi": b"",
    "fer_edge/_pyinstaller/hook-fer_edge.py": b"",
    "fer_edge/weights/SHA256SUMS": f"{hashlib.sha256(NETWORK).hexdigest()}  net.onnx\n".encode(),
    "fer_edge/weights/net.onnx": NETWORK,
    f"fer_edge/{EXTENSION}": b"\x7fELF /lib/ld-linux-aarch64.so.1 /proc/self/exe",
}


def found(tmp_path, changes, extension=EXTENSION, build_paths=()):
    """The problems of a wheel with these files; None leaves a file out."""
    wheel = tmp_path / "wheel.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in {**RIGHT, **changes}.items():
            if data is not None:
                archive.writestr(name, data)
    return list(problems(wheel, extension, build_paths))


def test_a_right_wheel_has_no_problem(tmp_path):
    assert found(tmp_path, {}) == []
    assert found(tmp_path, {f"fer_edge/{EXTENSION}": None}, extension=None) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"fer_edge/py.typed": None}, "fer_edge/py.typed is missing"),
        ({"tests/test_x.py": b""}, "tests/test_x.py is not part of the package"),
        (
            {"fer_edge/weights/net.onnx": b"another"},
            "fer_edge/weights/net.onnx is not the file of SHA256SUMS",
        ),
        ({"fer_edge/weights/net.onnx": None}, "the weights must be ['net.onnx'], got []"),
        (
            {"fer_edge/weights/old.onnx": b""},
            "the weights must be ['net.onnx'], got ['net.onnx', 'old.onnx']",
        ),
        (
            {f"fer_edge/{EXTENSION}": b"\0/home/me/fer_edge/csrc/dispatch.cpp\0"},
            f"fer_edge/{EXTENSION} names a path of the machine that built it: "
            "/home/me/fer_edge/csrc/dispatch.cpp",
        ),
    ],
)
def test_each_fault_is_named(tmp_path, changes, problem):
    assert found(tmp_path, changes) == [problem]


def test_the_extension_must_be_of_the_python_and_the_machine_of_the_tag(tmp_path):
    (problem,) = found(tmp_path, {}, extension="_core.cpython-312-x86_64-linux-gnu.so")
    assert problem.endswith(f"got ['fer_edge/{EXTENSION}']")


def test_no_file_names_a_folder_of_the_build(tmp_path):
    changes = {"fer_edge/__init__.py": b"# /srv/checkout/fer_edge"}
    (problem,) = found(tmp_path, changes, build_paths=("/srv/checkout",))
    assert problem == "fer_edge/__init__.py names the folder /srv/checkout of the machine that built it"
