# Two commands bring a fresh machine to a result: `make demo` and `make test`. Both make the virtual environment they need.
# PYTHON names the interpreter (3.11 or later); npm and Chromium are used by tests where they are at hand.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
NPM := $(shell command -v npm 2>/dev/null)
VALIDATORS := tests/validators

ifneq ($(and $(NPM),$(wildcard $(VALIDATORS)/package-lock.json)),)
NODE_MODULES := $(VALIDATORS)/node_modules/.package-lock.json
endif

.DEFAULT_GOAL := help
.PHONY: help demo test check docs prove kills bench classic coverage lock clean
.DELETE_ON_ERROR:

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.runtime ## screen the bundled example patients and write the report
	@$(BIN)/fhir-elig demo

test: $(VENV)/.dev $(NODE_MODULES) ## the whole test suite, on all cores
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile

check: $(VENV)/.dev ## format, lint, types, floors, docs current
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy --strict fhir_elig
	@$(BIN)/python -m pytest --quiet tests/house

docs: $(VENV)/.dev ## write docs/reference/spec and faults.md from the tables of the tests
	@$(BIN)/python -m tests.spec.pages
	@$(BIN)/python -m tests.faults

CASES ?= 100000
SEED ?= 1
JOBS ?= 2
prove: $(VENV)/.dev ## hold the package against the reference, on generated cases
	@$(BIN)/python -m tests.reference.prove --cases $(CASES) --seed $(SEED) --jobs $(JOBS)

KILLS ?= 100
kills: $(VENV)/.dev ## kill cohort runs at random moments, resume them, compare byte for byte
	@$(BIN)/python -m benchmarks.kills --kills $(KILLS) --seed $(SEED)

bench: $(VENV)/.dev ## measure one patient and a whole hospital, write docs/benchmarks.md
	@$(BIN)/python -m benchmarks.one_patient --write
	@$(BIN)/python -m benchmarks.ratios --write
	@$(BIN)/python -m benchmarks.again --write
	@$(BIN)/python -m benchmarks.live --write
	@$(BIN)/python -m benchmarks.whatif --write
	@$(BIN)/python -m benchmarks.on_spark --write

# Spark 3.5 is older than NumPy 2 and pandas 3; Arrow 18 is the oldest that the package takes. DELTA= leaves Delta Lake out.
SPARK ?= 4.0.1
SPARK_NEEDS := $(if $(filter 3.%,$(SPARK)),'pandas<2.3' 'numpy<2' 'pyarrow==18.*')
DELTA ?= $(if $(filter 3.5.%,$(SPARK)),io.delta:delta-spark_2.12:3.3.2)$(if $(filter 4.0.%,$(SPARK)),io.delta:delta-spark_2.13:4.0.0)
classic: $(VENV)/.dev .tools/spark-$(SPARK) ## hold runs on classic PySpark (needs Java 17; SPARK=3.5.5 too) against the local run
	@PYTHONPATH=.tools/spark-$(SPARK) PYSPARK_PYTHON=$(CURDIR)/$(BIN)/python $(BIN)/python -m benchmarks.spark_classic \
	  $(if $(DELTA),--delta $(DELTA))

.tools/spark-$(SPARK):
	@$(PIP) install --target $@ 'pyspark==$(SPARK)' $(SPARK_NEEDS) || { rm -rf $@; exit 1; }

coverage: $(VENV)/.dev $(NODE_MODULES) ## branch coverage of the package
	@$(BIN)/python -m pytest --quiet --cov --cov-report=term-missing:skip-covered

UV_LOCK := .tools/uv/bin/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --upgrade \
  --custom-compile-command "make lock"

lock: .tools/uv/bin/uv ## write the two lock files anew
	@$(UV_LOCK) --group pyproject.toml:build --output-file requirements.lock
	@$(UV_LOCK) --group pyproject.toml:dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove everything that the other targets made
	rm -rf $(VENV) .tools .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist fhir-elig-demo $(VALIDATORS)/node_modules

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "fhir-elig needs Python 3.11 or later as $(PYTHON); name another with:  make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "making $(VENV)" >&2
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "the module venv is missing; on Debian:  apt-get install python3-venv" >&2; exit 1; }

# One environment for both: the development lock holds the runtime lock's packages at the same versions.
$(VENV)/.runtime: pyproject.toml hatch_build.py requirements.lock | $(VENV)/pyvenv.cfg
	@echo "installing the packages of requirements.lock" >&2
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml hatch_build.py requirements-dev.lock | $(VENV)/pyvenv.cfg
	@echo "installing the packages of requirements-dev.lock" >&2
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.runtime $@

$(VALIDATORS)/node_modules/.package-lock.json: $(VALIDATORS)/package-lock.json
	@echo "installing the validators of $(VALIDATORS)" >&2
	@cd $(VALIDATORS) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.tools/uv/bin/uv:
	@$(PYTHON) -m venv .tools/uv
	@.tools/uv/bin/python -m pip --disable-pip-version-check --quiet install uv==0.13.9
