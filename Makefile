# Everything starts from nothing: the first target makes the environment that it needs.
#   make demo    film a simulated rig, read the clip back, write demo/report.html
#   make test    the whole test suite
#   make proof   the long proofs (not in `make test`)
#   make check   format, lint, types, import contract
#   make bench   tables of figures; asserts nothing
#   make fuzz    ten minutes of bytes that nobody thought of, for what reads files

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One more than there are processors: some tests wait for what they have started.
WORKERS ?= $(shell expr $$(nproc) + 1)

# Else every process that a test starts would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test proof check format bench fuzz clean

demo: $(VENV)/run
	$(BIN)/cammcorder demo

test: $(VENV)/test check
	$(BIN)/pytest -n $(WORKERS) -m "not proof"

proof: $(VENV)/test
	$(BIN)/pytest -n $(WORKERS) -m proof -rP

check: $(VENV)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# BROAD=FOLDER, a folder of trials, adds how right the orientation is.
bench: $(VENV)/test
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.writing
	$(BIN)/python -m benchmarks.recording
	$(BIN)/python -m benchmarks.clocks
	$(BIN)/python -m benchmarks.cameras
	$(BIN)/python -m benchmarks.pictures
	$(if $(BROAD),$(BIN)/python -m benchmarks.orientation $(BROAD))
	$(BIN)/python -m benchmarks.service

fuzz: $(VENV)/test
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -m fuzz reader -max_total_time=300
	$(BIN)/python -m fuzz repair -max_total_time=300

# The environment comes in two steps, so that the demo does not wait for the tools of the tests.
# A stamp is newer than what it was made from, or the step is made again.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11)' 2>/dev/null || \
	  { echo "cammcorder needs Python 3.11 or newer with venv: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[report]'
	@touch $@

$(VENV)/test: $(VENV)/run
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) demo .fuzz benchmarks/.cache tests/interop/node_modules
