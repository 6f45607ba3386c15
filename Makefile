# Needs make and Python 3.11, 3.12 or 3.13. Everything else is installed into .venv; `make` alone explains the targets.

VENV := .venv
BIN := $(VENV)/bin
MAIN := $(VENV)/.installed-main
TEST := $(VENV)/.installed-test
INPUTS := pyproject.toml constraints.txt

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
# Interpreter that .venv is made with
PYTHON ?= $(shell for one in python3 python3.13 python3.12 python3.11; do \
	$$one -c "$(SUPPORTED)" 2>/dev/null && echo $$one && break; done)
# Index with CPU builds of torch: `make test CPU_INDEX=https://…` saves 4 GB of CUDA libraries
CPU_INDEX ?=
# More for pytest: `make test ARGS="-k outbox"`
ARGS ?=
# Processes that run tests, 4 to 8. Tests of real parts often wait: more of them than cores where there are few
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 4 ? 4 : cores > 8 ? 8 : cores)))

# uv reads variables of its own: what was set for pip counts for it too
ifndef UV_DEFAULT_INDEX
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX := $(value PIP_INDEX_URL)
endif
endif
ifndef UV_FIND_LINKS
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS := $(value PIP_FIND_LINKS)
endif
endif
ifndef SSL_CERT_FILE
ifdef PIP_CERT
export SSL_CERT_FILE := $(value PIP_CERT)
endif
endif
# an activated environment of somebody else must not be the one that is installed into
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# Where this variable is set, every process would compile our modules again. Those of packages are compiled at
# installation: seconds of each process's start
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/uv pip install --compile-bytecode --constraints constraints.txt \
	$(if $(CPU_INDEX),--extra-index-url $(CPU_INDEX) --index-strategy unsafe-best-match)

.PHONY: help install demo test lint up down bench figures
.DEFAULT_GOAL := help

help: ## Explain every target
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

install: $(MAIN) ## Create .venv with what the main job needs

demo: $(MAIN) ## Take the bundled loan applications to bias reports, a model and three explanations
	$(BIN)/millrace run --example --time-budget 20

test: $(TEST) ## Install everything and run every test (ARGS go to pytest)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(TEST) ## Check format, style, types and the floors of the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

up: $(MAIN) ## Start the platform on this machine and leave it running
	$(BIN)/millrace up --detach

down: ## Stop the platform
	$(BIN)/millrace down

bench: $(TEST) ## Measure every figure of the README (takes long; wants an idle machine)
	for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || exit 1; done
	$(MAKE) figures

figures: ## Copy the measured figures from benchmarks/results into the README
	$(BIN)/python benchmarks/_render.py

$(BIN)/uv:
	@test -n "$(PYTHON)" && $(PYTHON) -c "$(SUPPORTED)" || { \
		echo "Millrace needs Python 3.11, 3.12 or 3.13. Install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "This Python cannot create environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv

$(MAIN): $(INPUTS) | $(BIN)/uv
	$(INSTALL) --editable .
	@touch $@

$(TEST): $(INPUTS) | $(BIN)/uv
	$(INSTALL) --editable '.[all,test]'
	@touch $@ $(MAIN)
