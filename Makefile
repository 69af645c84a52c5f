# The targets a person types. `make help` lists them; each does one thing and says what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
SEEDS ?= 20
T ?=
WORKERS ?= 3

.PHONY: help
help: ## This list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Everything a fresh Debian or Ubuntu needs (as root): system packages, .venv; quick when nothing is missing
	@tools/install-system.sh
	@PYTHON="$(PYTHON)" tools/make-venv.sh

.PHONY: venv
venv: ## Only .venv
	@PYTHON="$(PYTHON)" tools/make-venv.sh

.PHONY: demo demo-stop
demo: setup ## A control plane, a real engine, an agent: deploy, upgrade, a bad release, the device going back by itself
	$(BIN)/python -m tools.demo

demo-stop: ## Stop what `make demo` left running and remove its data
	$(BIN)/python -m tools.demo --stop

.PHONY: test test-fast
# Whole files go to one process, so that what a file's tests share is made once; each process starts engines of its own. Much of the time is
# waiting (for containers, grace periods, polls), so there is one process more than the two cores this is meant for.
# The browser has a network of its own: Chromium gives up what it is doing whenever an interface comes or goes, as engines make them do.
test: venv ## Every test, against real engines and a real browser (T=path or -k expression narrows it, WORKERS=0 for one process)
ifeq ($(strip $(T)),)
	unshare --net sh -c 'PATH=$$PATH:/usr/sbin:/sbin; ip link set lo up && exec $(PYTEST) tests/browser'
	$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore=tests/browser
else
	$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(T)
endif

test-fast: venv ## Unit and property tests only: no engine, no browser
	$(PYTEST) -m "not engine and not browser and not e2e and not slow" $(T)

.PHONY: check format
check: venv ## Format, lint, types, boundaries
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) -q tests/test_boundaries.py

format: venv ## Let the formatter and the linter repair what they can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lock
# No address is written into the locks: which registry serves the files is a setting of the machine, the hashes say what they are.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"
lock: ## Resolve the extras of pyproject.toml anew into requirements/ (UPGRADE=--upgrade for newer versions)
	$(LOCK) $(UPGRADE) pyproject.toml --extra dev --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --extra server --extra cli --constraint requirements/dev.txt --output-file requirements/server.txt

.PHONY: sim bench soak
sim: venv ## The simulated fleet, SEEDS=n runs
	$(BIN)/python -m penstock.sim --seeds $(SEEDS)

bench: venv ## Measure the numbers of the design; prints a table and writes bench/results.json
	$(BIN)/python -m bench

soak: venv ## The long run: sim with many seeds, properties with many examples, tests marked soak, the API fuzzed with many requests
	$(BIN)/python -m penstock.sim --seeds 2000
	HYPOTHESIS_PROFILE=long $(PYTEST) -n $(WORKERS) -m "not engine and not browser and not e2e and not slow"
	PENSTOCK_SOAK=1 $(PYTEST) -n $(WORKERS) --dist loadfile -m soak
	PENSTOCK_FUZZ_EXAMPLES=200 $(PYTEST) -q tests/front/test_fuzz.py tests/front/test_scopes.py

.PHONY: package
package: venv ## dist/: the agent as a zipapp, a .deb and a container image; the wheel
	$(BIN)/python -m tools.package

.PHONY: ci
ci: ## What continuous integration runs
	.ci/run

.PHONY: clean
clean: ## Remove what is built, but neither .venv nor the cache of downloaded packages
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
