# Needs make and Python >= 3.11; everything else is installed into .venv. `make` lists the targets.

SHELL := /bin/sh
PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check fix faults security bench bench-quick bench-store demo docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.installed ## install what is needed and serve on http://127.0.0.1:8000 (SQLite file; ARGS="--port 9000")
	$(BIN)/python -m server serve $(ARGS)

test: $(VENV)/.installed-dev ## run all tests, with servers of their own (ARGS="tests/unit -k layering")
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.installed-dev ## lint, format, types, layering and known holes, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/python -m pytest tests/unit/test_layering.py
	@$(BIN)/python .ci/audit.py requirements.lock

fix: $(VENV)/.installed-dev ## format, and repair what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: $(VENV)/.installed-dev ## kill, drop and starve for ten minutes, and write what was lost into docs/reliability.md
	$(BIN)/python -m pytest tests/faults --faults-seconds 600 --write-reliability $(ARGS)

security: $(VENV)/.installed-dev ## try what hostile clients try, and write what came of it into docs/security.md
	$(BIN)/python -m pytest tests/security tests/conformance --ignore tests/conformance/test_recorded.py --write-security $(ARGS)

bench: $(VENV)/.installed-dev ## measure throughput and latency on this machine
	$(BIN)/python -m bench $(ARGS)

bench-store: $(VENV)/.installed-dev ## measure an endpoint with 100,000 records and a board with 10,000 items
	$(BIN)/python -m bench records --write $(ARGS)
	$(BIN)/python -m bench items --write $(ARGS)

bench-quick: $(VENV)/.installed-dev ## a few of the measurements of fan-out, in two minutes
	$(BIN)/python -m bench fanout --quick --write $(ARGS)

demo: $(VENV)/.installed ## show one change reaching a client of every kind, live
	$(BIN)/python -m server demo $(ARGS)

docs: $(VENV)/.installed-dev ## write the generated parts of the documentation anew
	$(BIN)/python -m docs $(ARGS)

lock: ## pin the newest versions that pyproject.toml allows (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv, or make lock UV=/path/to/uv" >&2; exit 1; }
	$(UV) pip compile $(LOCK_OPTIONS) pyproject.toml -o requirements.lock
	$(UV) pip compile $(LOCK_OPTIONS) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

clean: ## remove everything that make made (data stay)
	rm -rf $(VENV) server/delivery/_sending* tests/js/node_modules bench/peers/node_modules bench/.cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One answer for every system and Python >= 3.11; the header must not name this machine.
LOCK_OPTIONS := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

# The stamps come last: an install that failed halfway is done again.
$(VENV)/.installed: requirements.lock server/delivery/sending.c | $(VENV)/.made
	@echo "installing requirements.lock into $(VENV)"
	@$(PIP_INSTALL) -r requirements.lock
	@$(BIN)/python -m server.delivery.sending || true
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "installing requirements-dev.lock into $(VENV)"
	@$(PIP_INSTALL) -r requirements-dev.lock
	@touch $@

# Tries $(PYTHON) first; a command may exist and still not run (version managers), so each is asked.
$(VENV)/.made:
	@for python in "$(PYTHON)" python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Python 3.11 or newer is needed; '$(PYTHON)' is not. Install it, or: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "'$$found' cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	fi; \
	echo "making $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv --clear $(VENV)
	@touch $@
