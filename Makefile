# scalewatch needs Python 3.11 or newer, make and pip, and nothing else: `make help`.
#
#   PYTHON=python3.12    the Python that the environment is made with
#   TORCH_ARGS=...       more options for the pip call that installs PyTorch, such as another index
#   DEMO_ARGS=--quick    options for the demo
#   PYTEST_ARGS=-x       options for pytest
#   MUTATE_ARGS=...      options for the mutations, such as `detect --only spike`
#   FAULTS_ARGS=...      options for the faults, such as `--minutes 9`: the same command goes on where it was
#   TEST_WORKERS=1       processes that `make test` runs in; as many as there are cores, four at most, if nothing is said

PYTHON ?= python3
VENV ?= .venv
TORCH_ARGS ?=
DEMO_ARGS ?=
PYTEST_ARGS ?=
MUTATE_ARGS ?=
FAULTS_ARGS ?=
TEST_WORKERS ?= logical

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -c constraints.txt
CREATED := $(VENV)/.stamp-created
TORCH := $(VENV)/.stamp-torch
DEMO := $(VENV)/.stamp-demo
DEV := $(VENV)/.stamp-dev
# The full environment holds all that the demo needs: where it is there, the demo uses it.
DEMO_READY := $(if $(wildcard $(DEV)),$(DEV),$(DEMO))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test lint format picture pages docs bench faults mutate soak clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(DEV) ## .venv with everything that the targets below need

demo: $(DEMO_READY) ## train a small model, watch it against its law, sabotage it (five minutes)
	$(BIN)/python examples/tiny_gpt.py $(DEMO_ARGS)

test: $(DEV) ## all tests and doctests, on all cores (TEST_WORKERS=1: in one process)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TEST_WORKERS) --maxprocesses 4 --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(DEV) ## ruff, formatting, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV) ## put the code into its form
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

picture: $(DEV) ## docs/rooms.svg, from the imports
	$(BIN)/python -m tests.rooms

pages: $(DEV) ## the pages of docs/ that are made from code
	$(BIN)/python -m tests.pages

docs: $(DEV) ## build/docs: the pages of docs/ and the API reference as a site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: $(DEV) ## the benchmarks, with their tables
	@set -e; for script in tests/benchmarks/[a-z]*.py; do printf '\n== %s\n' "$$script"; $(BIN)/python "$$script"; done

faults: $(DEV) ## fourteen kinds of fault, done to small runs on purpose: what was seen, what acts save (an hour)
	$(BIN)/python tests/benchmarks/faults.py --file faults.jsonl $(FAULTS_ARGS)

mutate: $(DEV) ## list the numbers of detect/ and forecast/ that no test notices (an hour)
	$(BIN)/python tests/mutate.py $(MUTATE_ARGS)

soak: $(DEV) ## the long tests: millions of steps, flat memory
	$(BIN)/python -m pytest tests -m soak --timeout 0 $(PYTEST_ARGS)

clean: ## delete what the tools left (keeps .venv and demo_runs)
	rm -rf build dist .benchmarks .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find scalewatch integrations tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## clean, and delete .venv too
	rm -rf $(VENV)

$(CREATED):
	@command -v $(PYTHON) > /dev/null || { \
	  echo "scalewatch needs Python 3.11 or newer, and there is no '$(PYTHON)' here." >&2; \
	  echo "Name yours: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "scalewatch needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# PyTorch goes first and alone, at the pinned version: installed as somebody's dependency it would be
# the newest build. hatchling is what builds scalewatch itself, also pinned (hence no build isolation).
$(TORCH): $(CREATED) constraints.txt
	@echo "Installing PyTorch and the rest into $(VENV): some minutes, once."
	$(PIP) $(TORCH_ARGS) torch hatchling
	@touch $@

$(DEMO): $(TORCH) pyproject.toml constraints.txt
	$(PIP) --no-build-isolation -e '.[lightning,tensorboard,charts]'
	@touch $@

$(DEV): $(TORCH) pyproject.toml constraints.txt
	$(PIP) --no-build-isolation -e '.[all,dev,docs]'
	@touch $@
