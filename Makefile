# Every target makes the environment it needs: git, make and Python 3.11 to 3.13 with venv are enough.
PYTHON ?= python3
VENV ?= .venv
DATA ?= funnel
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 2

.PHONY: demo test quality lint format clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: $(VENV)/.installed  ## train three models and compare them: make demo, make demo DATA=kuairand, make demo DATA=census
	$(BIN)/python examples/demo.py --data $(DATA)

test: $(VENV)/.installed  ## run the whole suite
	$(BIN)/python -m pytest

quality: $(VENV)/.installed  ## what the defaults reach on the two public data sets, three seeds each (half an hour)
	$(BIN)/python benchmarks/quality.py

lint: $(VENV)/.installed  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache
