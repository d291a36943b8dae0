# Each target sets up what it needs in .venv and is quick the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-long check bench docs constraints clean

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "grandrounds needs Python 3.11 or newer; say which with: make PYTHON=python3.11 …"; exit 1; }
	@echo "Setting up $(VENV); the first time this takes some minutes."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[models,dev]'
	@touch $@

demo: $(READY) ## Compare seven families on simulated CT patches and write runs/demo/report.html
	$(BIN)/grandrounds demo

test: $(READY) ## Run the tests, as many side by side as there are cores, at most four
	$(BIN)/python -m pytest -m "not long" --numprocesses auto --maxprocesses 4 --dist loadscope --durations 25

test-long: $(READY) ## Run the tests that take minutes
	$(BIN)/python -m pytest -m long

check: $(READY) ## Format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file benchmarks/mypy.ini benchmarks
	$(BIN)/lint-imports

bench: $(READY) ## Run the benchmarks
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

docs: $(READY) ## Build the documentation into docs/_build
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build

constraints: $(READY) ## Write the exact versions of this environment to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean: ## Remove what make made; runs/ is kept
	rm -rf $(VENV) docs/_build
