# Two commands: `make run` trains Connect Four in the terminal, `make test` checks everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN_ARGS ?=
# the tests start hundreds of processes: byte code is kept, whatever the environment says
KEPT := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(CURDIR)/$(VENV)/byte-code

.PHONY: run test test-again test-long test-gpu bench-gpu lint types contracts reference pictures bench clean

run: $(STAMP)
	$(BIN)/tui-trainer run $(RUN_ARGS)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tui-trainer needs Python 3.11 or newer: make run PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --constraint constraints.txt --editable '.[test]'
	touch $(STAMP)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

test: lint types contracts
	OMP_NUM_THREADS=1 $(KEPT) $(BIN)/pytest -q -n 2 --dist loadfile

# only what failed in the last run, one after the other; fails where nothing did
test-again: lint types contracts
	OMP_NUM_THREADS=1 $(KEPT) $(BIN)/pytest -q --last-failed --last-failed-no-failures none

test-long: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -m long --timeout 3600

# on a machine with a GPU that torch can use: the tests that need one, and a table of speeds
test-gpu: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -m gpu --timeout 900

bench-gpu: $(STAMP)
	OMP_NUM_THREADS=2 $(BIN)/python benchmarks/device.py

# docs/reference.md, from the code
reference: $(STAMP)
	$(BIN)/python docs/make_reference.py

# docs/pictures/*.svg, from the recorded sample session
pictures: $(STAMP)
	$(BIN)/python docs/pictures/make.py

bench: $(STAMP)
	@for script in benchmarks/[!_]*.py; do echo "== $$script"; OMP_NUM_THREADS=1 $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) build dist *.egg-info
