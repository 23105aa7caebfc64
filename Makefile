# Every target works from a bare machine with Python and make; nothing is written outside this
# folder but the package cache. Settings are taken from the environment or from the command
# line: make up PORT=9000 DATA=/somewhere/else

SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install up stop status ticketing test chaos check-deploy lint bench bench-quick

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## install everything from the lock file into .venv

up: $(INSTALLED) ## start the whole system and stay with it (Ctrl-C stops it)
	@exec $(BIN)/python -m dev.stack up

stop: $(INSTALLED) ## stop the running system
	@exec $(BIN)/python -m dev.stack stop

status: $(INSTALLED) ## show each part, its port, memory and health
	@exec $(BIN)/python -m dev.stack status

ticketing: $(INSTALLED) ## the operators' command on the running system: make ticketing RUN="events tail"
	@exec $(BIN)/python -m dev.cli $(RUN)

test: lint ## lint, types, import rules and all tests but the long ones
	$(BIN)/python -m pytest -m "not long" -n 3

chaos: $(INSTALLED) ## buyers and sellers while everything is killed: make chaos MINUTES=30 SEED=1
	@exec $(BIN)/python -m dev.chaos

check-deploy: $(INSTALLED) ## lint, build, run and validate containers and manifests (needs Docker)
	@UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --quiet --frozen --group deploy --python $(BIN)/python
	@exec $(BIN)/python -m dev.deploy.check

lint: $(INSTALLED) ## lint, formatting, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

bench: $(INSTALLED) ## measure everything and renew docs/performance.md, a quarter of an hour: make bench DATABASE=/path/mongod
	@exec $(BIN)/python -m bench --publish --database "$(DATABASE)"

bench-quick: $(INSTALLED) ## measure a little of everything, two minutes
	@exec $(BIN)/python -m bench --quick --database "$(DATABASE)"

# Runs again only when the lock file or the project file has changed.
$(INSTALLED): uv.lock pyproject.toml
	@python=; \
	for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	  if $$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11 or newer with its venv module is needed, and none was found." >&2; \
	  echo "On Debian and Ubuntu: apt install python3 python3-venv" >&2; exit 1; \
	fi; \
	[ -x $(BIN)/uv ] || { echo "installing into .venv"; \
	  $$python -m venv --clear .venv && $(BIN)/python -m pip --quiet --disable-pip-version-check install uv==0.13.9; } && \
	UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --quiet --frozen --python $(BIN)/python
	@touch $@
