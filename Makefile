# `make demo` and `make test` do everything on a fresh machine with Python (>= 3.11) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint format docs bench clean

help:
	@echo "make demo   draw four short performances, learn from them and label them (a few minutes)"
	@echo "make test   run the tests"
	@echo "make lint   check style, types and the order of the floors"
	@echo "make docs   build the documentation as a site, in build/site"
	@echo "make bench  measure speed, as ratios"

$(VENV)/.installed: setup.cfg pyproject.toml
	@echo "Installing into $(VENV); this happens once and takes a few minutes ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/chironomy demo demo-output --seconds 45

# Two processes with a thread each: more threads than cores wait for each other. The longest files begin (tests/conftest.py).
test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/trunk.py
	$(BIN)/python benchmarks/extraction.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/thresholds.py
	$(BIN)/python benchmarks/review_page.py
	$(BIN)/python benchmarks/tracking.py

clean:
	rm -rf $(VENV) build dist *.egg-info demo-output
