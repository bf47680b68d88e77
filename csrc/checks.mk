# Checks of the C++ code without Python: every target against cases computed by the NumPy reference.
PY ?= .venv/bin/python
CHECKS := build/checks
CHECKED := $(wildcard csrc/*.h csrc/*.cpp csrc/*/*)
AARCH64_CXX ?= aarch64-linux-gnu-g++
QEMU_AARCH64 ?= qemu-aarch64-static

ARM_TARGETS := scalar neon,-DFER_EDGE_USE_NEON
X86_TARGETS := scalar avx2,-mavx2,-mfma,-DFER_EDGE_USE_AVX2
HOST_TARGETS := $(if $(filter aarch64,$(shell uname -m)),$(ARM_TARGETS),$(X86_TARGETS))

$(CHECKS)/cases.bin: csrc/checks/dump_cases.py $(wildcard fer_edge/ops/*.py)
	@mkdir -p $(@D)
	$(PY) $< $@

$(CHECKS)/sanitized: $(CHECKED)
	CXX="$(CXX)" CXXFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all" \
	  csrc/checks/build.sh $@ $(HOST_TARGETS)

# Linked statically, so that the emulator needs no libraries of the other architecture.
$(CHECKS)/aarch64: $(CHECKED)
	CXX="$(AARCH64_CXX)" CXXFLAGS="-O3 -static" csrc/checks/build.sh $@ $(ARM_TARGETS)

.PHONY: sanitize test-neon test-aarch64
sanitize: $(CHECKS)/sanitized $(CHECKS)/cases.bin
	$^

test-neon: $(CHECKS)/aarch64 $(CHECKS)/cases.bin
	$(QEMU_AARCH64) $^

# The runtime in an emulated system. Needs root and downloads a Debian, so that CI does not run it.
test-aarch64: test-neon .venv/test.stamp
	@$(COPY_ASTRONAUT)
	tests/environments/aarch64.sh $(CURDIR)/$(PY) $(ASTRONAUT)
