# make demo: install, then train on the example scene, classify it and assess the map.
# make test: install, then run the quick tests.   make test-all: all tests, with their coverage.
# make test-minimum: the quick tests with the oldest versions of the dependencies that pyproject.toml allows.
# make lint: linters and types.   make check: all tests, lint and demo.
PYTHON ?= python3
VENV ?= .venv
MINIMUM ?= .venv-minimum
# processes that test side by side, each with one thread
WORKERS ?= auto
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := -m pytest -n $(WORKERS) --dist worksteal
COVER := $(if $(COVERAGE),--cov --cov-append --cov-report= --cov-fail-under=0)
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test test-slow coverage test-all test-minimum lint check clean

demo: $(STAMP)
	env -u OMP_NUM_THREADS -u OPENBLAS_NUM_THREADS $(BIN)/s2fin demo --overwrite -o demo

test: $(STAMP)
	$(BIN)/python $(PYTEST) -m "not slow" $(COVER)

test-slow: $(STAMP)
	$(BIN)/python $(PYTEST) -m slow $(COVER)

coverage: $(STAMP)
	$(BIN)/coverage report

test-all: $(STAMP)
	rm -f .coverage
	$(MAKE) test COVERAGE=yes
	$(MAKE) test-slow COVERAGE=yes
	$(MAKE) coverage

test-minimum:
	$(PYTHON) -m venv --clear $(MINIMUM)
	$(MINIMUM)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(MINIMUM)/bin/uv pip install --quiet --python $(MINIMUM) --resolution lowest-direct -e '.[dev]'
	$(MINIMUM)/bin/python $(PYTEST) -m "not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: test-all lint demo

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "s2fin needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(MINIMUM) .coverage build dist demo
