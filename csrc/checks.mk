# Checks of the C++ that need no Python: csrc/checks/agree.cpp compares every target with the scalar one.
CHECK_FLAGS := -std=c++17 -g -ffp-contract=off -fno-math-errno -Wall -Wextra
CHECK_SOURCES := $(wildcard csrc/checks/*.cpp) $(filter-out csrc/bindings.cpp,$(wildcard csrc/*.cpp))
AARCH64_CXX ?= aarch64-linux-gnu-g++
QEMU_AARCH64 ?= qemu-aarch64-static

# $(1) compiler, $(2) flags of all, $(3) folder, $(4) name of the wide target, $(5) its flags
define build_check
	@mkdir -p $(3)
	for source in csrc/cpu/*.cpp; do \
	  name=$$(basename $$source .cpp); \
	  $(1) $(CHECK_FLAGS) $(2) -DFER_EDGE_TARGET=scalar -c $$source -o $(3)/$${name}_scalar.o || exit 1; \
	  $(1) $(CHECK_FLAGS) $(2) $(5) -DFER_EDGE_TARGET=$(4) -c $$source -o $(3)/$${name}_$(4).o || exit 1; \
	done
	$(1) $(CHECK_FLAGS) $(2) $(CHECK_SOURCES) $(3)/*.o -o $(3)/agree
endef

.PHONY: sanitize test-aarch64
sanitize:
	$(call build_check,$(CXX),-O1 -fsanitize=address$(comma)undefined -fno-sanitize-recover=all,build/sanitize,avx2,-mavx2 -mfma -DFER_EDGE_USE_AVX2)
	build/sanitize/agree

test-aarch64:
	$(call build_check,$(AARCH64_CXX),-O3 -static,build/aarch64,neon,-DFER_EDGE_USE_NEON)
	$(QEMU_AARCH64) build/aarch64/agree

comma := ,
