# What one types; `make help` explains. CMake does the building (CMakePresets.json).

JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 1800
SOAK_BUILD ?= release
CTEST_ARGS ?=

# Missing Debian packages are installed; see tools/setup/packages.txt for what they are for.
PACKAGES := tools/setup/packages.sh
# A kernel that spreads mappings widely upsets GCC 12's thread sanitizer.
FIXED_ADDRESSES = $(shell setarch -R true 2>/dev/null && echo setarch -R)
SOURCE_FOLDERS := apps bench examples include src tests tools

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help packages build model demo test test-asan test-tsan test-clients test-browser soak fuzz \
        bench bench-methods bench-micro bench-peers format lint results results-full clean \
        all-release all-asan all-tsan

help:
	@cat tools/setup/help.txt

packages:
	@$(PACKAGES) build test

build/%/build.ninja: | packages
	cmake --preset $*

build: packages build/release/build.ninja
	ninja -C build/release -j $(JOBS) kvasir

all-release all-asan all-tsan: all-%: packages build/%/build.ninja
	ninja -C build/$* -j $(JOBS)

model:
	@$(PACKAGES) model
	@python3 tools/setup/model.py

demo: build model
	@python3 tools/demo/demo.py

# ctest's own summary comes last.
test: all-release model
	ctest --test-dir build/release --output-on-failure -j 2 $(CTEST_ARGS)

test-asan: all-asan model
	UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan_suppressions.txt \
	  ctest --test-dir build/asan --output-on-failure -j 2 $(CTEST_ARGS)

test-tsan: all-tsan model
	$(FIXED_ADDRESSES) ctest --test-dir build/tsan --output-on-failure $(CTEST_ARGS)

# OpenAI's, Anthropic's and other clients from PyPI against a server of ours.
test-clients: build model
	@$(PACKAGES) clients
	@python3 tests/clients/run.py $(CLIENTS_ARGS)

# Debian's selenium belongs to Debian's Python. BROWSER_TESTS=page_test.py runs one file.
test-browser: build model
	@$(PACKAGES) browser
	KVASIR=$(CURDIR)/build/release/kvasir \
	  /usr/bin/python3 -m unittest discover -v -s tests/browser -p '$(or $(BROWSER_TESTS),*_test.py)'

# SOAK_BUILD=asan or tsan: the same traffic against such a build.
soak: model
	@$(PACKAGES) build
	@[ -e build/$(SOAK_BUILD)/build.ninja ] || cmake --preset $(SOAK_BUILD)
	ninja -C build/$(SOAK_BUILD) -j $(JOBS) kvasir
	$(if $(filter tsan,$(SOAK_BUILD)),$(FIXED_ADDRESSES)) python3 tests/soak/soak.py \
	  --seconds $(SOAK_SECONDS) --kvasir build/$(SOAK_BUILD)/kvasir \
	  $(if $(filter release,$(SOAK_BUILD)),,--no-memory-check) $(SOAK_ARGS)

fuzz:
	@$(PACKAGES) build fuzz
	@tools/fuzz.sh $(FUZZ_SECONDS)

bench: build model
	build/release/kvasir bench --kv "full; streaming:budget=20%; snapkv:budget=20%" \
	  --prompt 512,2048,8000 --depth 64 --threads 1,2

# In a folder of their own: the tests need not be built anew.
bench-micro: packages model
	@[ -e build/micro/build.ninja ] || \
	  cmake --preset release -B build/micro -DKVASIR_BENCH=ON -DKVASIR_TESTS=OFF
	ninja -C build/micro -j $(JOBS)
	for bench in matmul attention step; do build/micro/$${bench}_bench || exit; done
	build/micro/mask_bench "$$(python3 tools/setup/model.py --path)"

results results-full: build model
	@python3 tools/results/board.py --write $(if $(filter results-full,$@),--samples 100) $(BOARD_ARGS)

bench-methods: build model
	@python3 tools/results/method_speed.py --write $(BENCH_METHODS_ARGS)

bench-peers: build model
	@$(PACKAGES) peers
	@python3 bench/peers/compare.py $(PEERS_ARGS)

format:
	@$(PACKAGES) develop
	find $(SOURCE_FOLDERS) -name '*.h' -o -name '*.cc' | xargs clang-format -i

# The files that differ from the commit BASE, and those not committed yet; ALL=1: all files.
lint: packages
	@$(PACKAGES) fuzz develop
	@[ -e build/lint/build.ninja ] || cmake --preset lint
	@tools/lint.sh $(if $(ALL),--all,$(BASE))

clean:
	rm -rf build
