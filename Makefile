# The verbs of the project. Each sets up what it needs in .venv; only test-cuda and bench-cuda need a GPU.
PYTHON ?= python3
PY := .venv/bin/python
PIP := .venv/bin/pip --disable-pip-version-check --quiet
DEMO := build/demo
# Pinned, because a new release of these may report new problems.
LINTERS := numpy ruff==0.17.6 mypy==2.4.1 clang-format==23.1.5

.PHONY: help demo test test-fast test-compile test-engines test-pycuda test-isa lint faults bench documents soak test-cuda bench-cuda clean
help:
	@echo "make demo    set up, then label the expression on a real photo"
	@echo "make test    set up, then run the tests"
	@echo "make test-fast    the tests without the marker slow, for daily work"
	@echo "make test-compile    the Triton kernels compiled for eight kinds of GPU, and networks by torch.compile"
	@echo "make test-engines    NVIDIA's parser, builder and bindings; needs no GPU, downloads 150 MB"
	@echo "make test-pycuda    the GPU's memory and graphs on the real pycuda; needs no GPU, builds for minutes"
	@echo "make test-isa     the numeric tests on each instruction set of this CPU"
	@echo "make lint    ruff, mypy, clang-format"
	@echo "make faults  plant faults in the runtime, one at a time; each should fail a test (hours)"
	@echo "make bench   latency by stage, with its context"
	@echo "make documents   write the documents' figures from the result files"
	@echo "make soak    20,000 frames; resident memory must stay flat"
	@echo "make test-cuda, make bench-cuda: the kernels on an NVIDIA GPU, see docs/kernels.md"
	@echo "make sanitize, make test-aarch64: see docs/building.md"

.venv/bin/python:
	$(PYTHON) -m venv .venv

# One stamp file for each set of extras, so that a change of pyproject.toml, setup.py or the C++ installs again.
SOURCES := pyproject.toml setup.py $(wildcard csrc/*.* csrc/cpu/*.*)
.venv/demo.stamp: $(SOURCES) | .venv/bin/python
	$(PIP) install -e '.[demo]'
	@touch $@
.venv/test.stamp: $(SOURCES) | .venv/bin/python
	$(PIP) install -e '.[demo,test,train,export,kernels]'
	@touch $@
.venv/lint.stamp: pyproject.toml Makefile | .venv/bin/python
	$(PIP) install $(LINTERS)
	@touch $@

demo: .venv/demo.stamp
	@mkdir -p $(DEMO)
	@$(PY) -c "import skimage, shutil, pathlib; \
	  shutil.copy(pathlib.Path(skimage.__file__).parent / 'data' / 'astronaut.png', '$(DEMO)/astronaut.png')"
	.venv/bin/fer-edge predict $(DEMO)/astronaut.png --draw $(DEMO)/annotated

# One worker for each core, each with one thread.
WORKERS ?= auto
PYTEST := $(PY) -m pytest --numprocesses $(WORKERS) --dist worksteal
test: .venv/test.stamp
	$(PYTEST) -m "not compiles and not engines"

test-compile: .venv/test.stamp
	$(PYTEST) -m compiles tests/export tests/kernels

test-fast: .venv/test.stamp
	$(PYTEST) -m "not slow and not engines"

# NVIDIA's wheels in an environment of its own, on top of the packages of .venv: TensorRT for RTX, and beside it the
# bindings of TensorRT for Jetson, each version in a folder, and TensorRT's lean runtime. (The package tensorrt-rtx is a
# source distribution that only names its two wheels.)
ENGINES := tensorrt-rtx-cu13-bindings==1.7.1.116 tensorrt-rtx-cu13-libs==1.7.1.116
BINDINGS := cu12-10.3.0 cu12-10.13.3.9 cu12-10.16.0.72 cu13-11.4.0.106
LEAN := tensorrt-lean-cu13-bindings==11.4.0.106 tensorrt-lean-cu13-libs==11.4.0.106
ENGINES_PY := .venv-engines/bin/python
ENGINES_PIP := $(ENGINES_PY) -m pip --disable-pip-version-check --quiet install --no-deps
.venv-engines/stamp: Makefile .venv/test.stamp
	$(PY) -m venv --clear .venv-engines
	$(PY) -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	  > $$($(ENGINES_PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	$(ENGINES_PIP) $(ENGINES)
	for wheel in $(BINDINGS); do $(ENGINES_PIP) --target .venv-engines/bindings/$${wheel#*-} \
	  tensorrt-$${wheel%-*}-bindings==$${wheel#*-} || exit 1; done
	$(ENGINES_PIP) --target .venv-engines/bindings/lean-11.4.0.106 $(LEAN)
	@touch $@

test-engines: .venv-engines/stamp
	$(ENGINES_PY) -m pytest --numprocesses $(WORKERS) --dist worksteal -m engines tests/engines

# pycuda is a source distribution. It is built with the headers of NVIDIA's wheels, without optimization, and runs on a
# double of the driver: tests/with_pycuda.
CUDA_HEADERS := nvidia-cuda-runtime==13.5.37 nvidia-cuda-nvcc==13.5.37 nvidia-cuda-crt==13.5.37 \
  nvidia-cuda-cccl==13.3.5.0.6 nvidia-curand==10.4.5.25 nvidia-cuda-profiler-api==13.5.25
PYCUDA_PY := .venv-pycuda/bin/python
PYCUDA_CUDA := .venv-pycuda/cuda
PYCUDA_PIP := $(PYCUDA_PY) -m pip --disable-pip-version-check --quiet install
.venv-pycuda/stamp: tests/with_pycuda/driver.c tests/with_pycuda/libraries.py .venv/test.stamp
	$(PY) -m venv --clear .venv-pycuda
	$(PYCUDA_PIP) --no-deps $(CUDA_HEADERS)
	ln -s "$$(dirname $$(find $(CURDIR)/.venv-pycuda -name cuda.h))/.." $(PYCUDA_CUDA)
	$(PYCUDA_PY) tests/with_pycuda/libraries.py $(PYCUDA_CUDA)/include .venv-pycuda/libraries
	CUDA_ROOT=$(CURDIR)/$(PYCUDA_CUDA) LIBRARY_PATH=$(CURDIR)/.venv-pycuda/libraries CFLAGS="-O0 -w" \
	  PATH="$(CURDIR)/$(PYCUDA_CUDA)/bin:$$PATH" $(PYCUDA_PIP) pycuda==2026.1
	$(PY) -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	  > $$($(PYCUDA_PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	@touch $@

test-pycuda: .venv-pycuda/stamp
	CUDA_HOME=$(CURDIR)/$(PYCUDA_CUDA) $(PYCUDA_PY) -m pytest -m engines tests/with_pycuda

test-isa: .venv/test.stamp
	$(PY) -m tests.kernels.run_isa

lint: .venv/lint.stamp
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/clang-format --dry-run --Werror $(wildcard csrc/*.cpp csrc/*.h csrc/*/*.cpp csrc/*/*.h csrc/*/*.cu csrc/*/*.cuh csrc/cuda/emulator/*)

faults: .venv/test.stamp
	$(PY) -m tests.mutation

bench: .venv/test.stamp
	$(PY) -m benchmarks.ops --json build/ops.json
	$(PY) -m benchmarks.latency --json build/latency.json

documents: .venv/test.stamp
	$(PY) -m benchmarks.documents

soak: .venv/test.stamp
	$(PY) -m benchmarks.soak --frames 20000

# The kernels on a GPU. Without one, both verbs fail: nothing is skipped.
.venv/test-cuda.stamp: $(SOURCES) $(wildcard csrc/cuda/*.*) | .venv/bin/python
	FER_EDGE_CUDA=1 $(PIP) install -e '.[test,train,export,kernels,aot]'
	@touch $@

SANITIZED := $(PY) -m pytest tests/gpu/test_operations.py -k sanitizer
test-cuda: .venv/test-cuda.stamp
	FAIL_WITHOUT_CUDA=1 $(PY) -m pytest tests/gpu
	for tool in memcheck racecheck synccheck initcheck; do \
	  FAIL_WITHOUT_CUDA=1 PYTORCH_NO_CUDA_MEMORY_CACHING=1 \
	    compute-sanitizer --tool $$tool --error-exitcode 1 $(SANITIZED) || exit 1; done

bench-cuda: .venv/test-cuda.stamp
	$(PY) -m benchmarks.kernels --json benchmarks/results/kernels.json

clean:
	rm -rf build dist *.egg-info fer_edge/*.so

-include csrc/checks.mk
