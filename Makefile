# Everything a stranger needs; `make demo` and `make test` set up their environment in .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin
DATALIST ?= datalist.json
RECIPE ?= T1T2Translation/T1T2TranslationLib/training/recipes/t1_to_t2.toml
OUTPUT ?= runs/t1_to_t2

.PHONY: demo test test-slow faults lint bench fuzz lock audit train pictures clean

demo: .venv/installed
	$(BIN)/python docs/demo.py demo

test: .venv/installed
	$(BIN)/python -m pytest

test-slow: .venv/installed .venv/cohort
	$(BIN)/python -m pytest -m "slow or not slow"

faults: .venv/installed .venv/cohort
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[fuzz]"
	$(BIN)/python -m pytest -m faults

lint: .venv/linted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python Testing/Benchmarks/bench.py
	$(BIN)/python Testing/Benchmarks/bench_cohort.py
	PYTHONPATH=Testing $(BIN)/python Testing/Benchmarks/bench_preview.py

fuzz: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[fuzz]"
	$(BIN)/python Testing/Faults/fuzz_headers.py -max_total_time=600

lock: .venv/installed
	$(BIN)/python .ci/lock.py > .venv/locked.txt && mv .venv/locked.txt locked.txt

# Asks a public database over the network; in an environment of its own.
audit: .venv/installed
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	.venv/audit/bin/pip-audit --disable-pip --no-deps -r constraints.txt
	.venv/audit/bin/pip-audit --disable-pip --no-deps -r workflow/constraints.txt

train: .venv/installed
	$(BIN)/t1t2 train $(RECIPE) $(DATALIST) -o $(OUTPUT)

pictures: .venv/installed
	PYTHONPATH=Testing $(BIN)/python docs/pictures.py docs/images

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $@

.venv/linted: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[lint]"
	touch $@

# Snakemake wants other versions of some packages than the rest: in an environment of its own.
.venv/cohort: .venv/installed
	$(PYTHON) -m venv .venv/cohort
	.venv/cohort/bin/python -m pip install --quiet --disable-pip-version-check -c workflow/constraints.txt snakemake
	touch $@

clean:
	rm -rf .venv demo build dist *.egg-info T1T2Translation/*.egg-info
