# make demo: install, then train on the example scene, classify it and assess the map.
# make test: install, then run the quick tests.   make test-all: all tests, with their coverage.
# make test-minimum: the quick tests with the oldest versions of the dependencies that pyproject.toml allows.
# make gallery DATA=FOLDER: execute the notebooks of the documentation again, with the scenes in a folder.
# make lint: linters and types.   make docs: build the documentation site into build/site.
# make dist: wheel and source archive in dist, checked as the package index would.
# make check: all of it but test-minimum and dist.
PYTHON ?= python3
VENV ?= .venv
MINIMUM ?= .venv-minimum
# processes that run tests side by side, each with one thread: threads that wait for each other cost more than they save
WORKERS ?= auto
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := -m pytest -n $(WORKERS) --dist worksteal
COVER := $(if $(COVERAGE),--cov --cov-append --cov-report= --cov-fail-under=0)

.PHONY: demo test test-slow coverage test-all test-minimum lint docs gallery dist check clean

demo: $(STAMP)
	$(BIN)/s2fin demo --overwrite -o demo

test: $(STAMP)
	$(ONE_THREAD) $(BIN)/python $(PYTEST) -m "not slow" $(COVER)

test-slow: $(STAMP)
	$(ONE_THREAD) $(BIN)/python $(PYTEST) -m slow $(COVER)

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
	$(ONE_THREAD) $(MINIMUM)/bin/python $(PYTEST) -m "not slow" --ignore tests/benchmarks  # whose figures are of one torch

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/mkdocs build --strict

# --no-isolation: the build's own requirements are installed with the others, in the versions that constraints.txt says
dist: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[release]'
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

gallery: $(STAMP)
	$(ONE_THREAD) $(BIN)/python docs/gallery/execute.py $(DATA)

check: test-all lint docs demo

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "s2fin needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs,gallery]'
	touch $@

clean:
	rm -rf $(VENV) $(MINIMUM) .coverage build dist demo
