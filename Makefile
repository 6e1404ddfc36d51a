# Every target creates what it needs and is quick when nothing changed: `.build/` holds one stamp per step.
# Needed beforehand: Rust, Python 3.11 or later, a C compiler.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# cargo and pytest use the cores themselves, and pytest has the last line.
.NOTPARALLEL:

# The first interpreter that is there; `make PYTHON=...` chooses another.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .build
MATURIN := VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/maturin develop --quiet
# The interpreter maturin builds for: without it cargo would compile pyo3 again on each turn.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)
PYTHON_PATHS := $(wildcard python tests benchmarks tools rust/fuzz)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: $(STAMPS)/extension-ci ## create .venv with the locked tools and compile the extension module

.PHONY: demo
demo: $(STAMPS)/extension-ci ## judge a real prediction log; leaves profile, rows and report in out/
	@status=0; $(BIN)/tidegauge run examples/nycflights13/tidegauge.toml || status=$$?; \
	case $$status in \
	    0) echo "every gate passed" ;; \
	    1) echo "a gate failed: the log leaves the season of its reference (examples/nycflights13/README.md)" ;; \
	    *) exit $$status ;; \
	esac
	@echo "left behind:"; ls -1 out/nycflights13/* | sed 's/^/  /'

.PHONY: test
test: lint test-rust test-python ## every check and every test

.PHONY: test-rust
test-rust: # the whole workspace: for a part of it cargo would choose other features and compile arrow again
	cargo test --quiet --locked --profile ci --workspace

.PHONY: test-python
test-python: $(STAMPS)/extension-ci
	$(BIN)/python -m pytest --quiet --numprocesses auto --dist worksteal

.PHONY: lint
lint: $(STAMPS)/extension-ci ## formatting, clippy, ruff, types, stubs, generated files
	cargo fmt --check
	cargo fmt --check --manifest-path rust/fuzz/Cargo.toml
	@# The fuzz targets' own lock follows the workspace's.
	cargo metadata --locked --format-version 1 --manifest-path rust/fuzz/Cargo.toml > /dev/null
	cargo clippy --quiet --locked --profile ci --workspace --all-targets -- --deny warnings
	$(BIN)/ruff check $(PYTHON_PATHS)
	$(BIN)/ruff format --check $(PYTHON_PATHS)
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest tidegauge._core
	$(BIN)/python tools/generated.py --check

.PHONY: format
format: $(STAMPS)/venv ## format Rust and Python
	cargo fmt
	cargo fmt --manifest-path rust/fuzz/Cargo.toml
	$(BIN)/ruff check --fix --select I $(PYTHON_PATHS)
	$(BIN)/ruff format $(PYTHON_PATHS)

# Sizes (small runs through everything, full is the table), the record, and more options of pytest, as BENCH="-k exact".
SCALE ?= full
RECORD ?= $(if $(filter full,$(SCALE)),benchmarks/record/$(shell date -u +%F).json,.build/bench-$(SCALE).json)

.PHONY: bench
bench: $(STAMPS)/extension-release $(STAMPS)/bench ## side by side with other tools, into benchmarks/record/ (opt-in)
	$(BIN)/python -m pytest --quiet --capture=no --scale $(SCALE) --record $(RECORD) $(BENCH) benchmarks/bench_*.py

.PHONY: bench-compare
bench-compare: $(STAMPS)/venv ## faster, slower or noise between records: A=before.json B=after.json
	$(BIN)/python benchmarks/compare.py $(A) $(B)

$(STAMPS)/bench: $(STAMPS)/venv benchmarks/requirements.txt benchmarks/peers.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	$(BIN)/python benchmarks/peers.py
	touch $@

# Seconds for each target; corpus and crashes stay in target/fuzz. No cargo-fuzz: the same flags, on stable Rust.
FUZZ_SECONDS ?= 150
FUZZ_HOST := $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
FUZZ := target/fuzz/$(FUZZ_HOST)/release
FUZZ_LIMITS := -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=512 -print_final_stats=1

.PHONY: fuzz
fuzz: $(STAMPS)/extension-ci ## coverage-guided search for harmful files (opt-in; FUZZ_SECONDS for each target)
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --quiet --locked --release --manifest-path rust/fuzz/Cargo.toml \
	    --target-dir target/fuzz --target $(FUZZ_HOST)
	mkdir -p $(addprefix target/fuzz/,corpus/profile_decode corpus/parquet_scan corpus/model_read corpus/performance_decode crashes)
	$(BIN)/python rust/fuzz/seeds.py target/fuzz/corpus/profile_decode
	$(FUZZ)/profile_decode $(FUZZ_LIMITS) -max_len=16384 -artifact_prefix=target/fuzz/crashes/profile_decode- \
	    target/fuzz/corpus/profile_decode tests/format/golden rust/fuzz/found/profile_decode
	$(FUZZ)/parquet_scan $(FUZZ_LIMITS) -max_len=4096 -artifact_prefix=target/fuzz/crashes/parquet_scan- \
	    target/fuzz/corpus/parquet_scan rust/fuzz/seeds rust/fuzz/found/parquet_scan
	$(FUZZ)/model_read $(FUZZ_LIMITS) -max_len=8192 -artifact_prefix=target/fuzz/crashes/model_read- \
	    target/fuzz/corpus/model_read rust/fuzz/seeds/models rust/fuzz/found/model_read
	$(FUZZ)/performance_decode $(FUZZ_LIMITS) -max_len=8192 -artifact_prefix=target/fuzz/crashes/performance_decode- \
	    target/fuzz/corpus/performance_decode rust/fuzz/seeds/performance rust/fuzz/found/performance_decode

.PHONY: levels
levels: $(STAMPS)/venv ## whether builds for other processors and optimisations give the same bytes (opt-in)
	$(BIN)/python tools/levels.py

.PHONY: docs
docs: $(STAMPS)/extension-ci ## renew what is generated: tidegauge.stats, pages under docs/
	$(BIN)/python tools/generated.py

.PHONY: lock
lock: $(STAMPS)/venv ## pin the newest versions of the Python tools
	$(BIN)/python -m pip install --quiet uv
	rm -f requirements-dev.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --group tools --python-version 3.11 --universal \
	    --generate-hashes --no-header --quiet --output-file requirements-dev.lock > /dev/null

.PHONY: clean
clean: ## remove everything that was built
	rm -rf $(VENV) $(STAMPS) out target python/tidegauge/_core*.so

$(STAMPS)/venv: requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "no python3 found: install Python 3.11 or later" >&2; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	    f"Python 3.11 or later is needed, {sys.executable} is {sys.version.split()[0]}: try make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(VENV) || { echo "is the venv module installed? (Debian: python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	mkdir -p $(STAMPS)
	rm -f $(STAMPS)/extension-*
	touch $@

# One extension module at a time lies in python/tidegauge: building one profile discards the other's stamp.
# `ci` is optimised, checks overflow and assertions, and shares its dependencies with `cargo test`;
# `release` is what the numbers in docs/ are measured with.
$(STAMPS)/extension-ci $(STAMPS)/extension-release: $(STAMPS)/extension-%: $(STAMPS)/venv pyproject.toml $(RUST_SOURCES)
	$(MATURIN) --profile $*
	rm -f $(STAMPS)/extension-*
	@# Benchmarks tell which commit they measured.
	git describe --always --dirty=+ --abbrev=10 --exclude '*' > $@ 2> /dev/null || touch $@
