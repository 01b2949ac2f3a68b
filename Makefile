# Orrery. `make run` on a fresh machine is all that a person needs; CONTRIBUTING.md has the rest.
SHELL    := /bin/bash
PORT     ?= 8501
HEADLESS ?=
APP      ?= Home.py
ADDRESS  ?= 127.0.0.1
HOSTS    ?=
NAME     ?= all
ARGS     ?=
PACKS    ?= 24
FAULT    ?=

VENV   := .venv/bin/python
# The environment's own Python answers "nothing changed" in a few milliseconds.
PYTHON := $(shell if [ -x $(VENV) ]; then echo $(VENV); else command -v python3 || command -v python; fi)
SETUP   = $(if $(PYTHON),$(PYTHON) -E -S scripts/setup.py,$(NO_PYTHON))
NO_PYTHON = printf '%s\n' 'Orrery needs Python 3.11 or newer, and there is no python3 here.' \
	'  Debian, Ubuntu: sudo apt install python3 python3-venv' '  macOS: brew install python' >&2; exit 1;

RL_PYTHON := .venv-rl/bin/python
RL        := .venv-rl/installed

.DEFAULT_GOAL := help
.PHONY: setup run serve fleet gateway test bench rl test-rl pictures clean help

help:            ## what there is
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */make \1\t/' | expand -t 18

setup:           ## install alone; costs nothing when nothing changed
	@$(SETUP)

run:             ## install what is missing and open the app (PORT=8501 HEADLESS=1 APP=server.py; behind a name: HOSTS=orrery.example)
	@$(SETUP) --last-step 4
	@exec $(VENV) scripts/launch.py --app $(APP) --port $(PORT) --address $(ADDRESS) $(HOSTS:%=--host %) $(if $(filter 1 true yes,$(HEADLESS)),--headless)

serve:           ## the app with REST, WebSocket and /metrics in the same process
	@$(MAKE) --no-print-directory run APP=server.py

fleet:           ## a whole fleet on this machine: broker, edge devices, ingest, gateway, app (PACKS=24 FAULT="pack_003=cell_overheats")
	@$(SETUP)
	@exec $(VENV) -m scripts.fleet --packs $(PACKS) $(FAULT:%=--fault %) $(ARGS)

gateway:         ## the WebSocket without Streamlit, on port 9999
	@$(SETUP)
	@exec $(VENV) -m services.gateway $(ARGS)

test:            ## everything that CI runs (ARGS="-k words" for a part)
	@$(SETUP) --dev
	@exec $(VENV) -m scripts.test $(ARGS)

rl:              ## learn a policy (ARGS="train --site packs"; README says what for), with PyTorch
	@$(MAKE) --no-print-directory $(RL)
	@exec $(RL_PYTHON) -m services.coordinator.rl $(ARGS)

test-rl:         # the tests of learning and of numba's loop, whose packages `make test` does without
	@$(MAKE) --no-print-directory $(RL)
	@exec $(RL_PYTHON) -m pytest tests/torch --confcutdir=tests/torch \
		-o addopts="-q --strict-markers --strict-config -p no:cacheprovider" $(ARGS)

# An environment of its own, by pip alone: PyTorch is large, and other installers take CUDA with it.
$(RL): requirements-rl.txt requirements-rllib.txt services/coordinator/requirements.txt \
		core/twin/requirements-numba.txt
	@$(SETUP)
	@echo "Installing PyTorch, Ray and numba into .venv-rl, about 1.7 GB ..."
	@$(VENV) -m venv .venv-rl
	@$(RL_PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-rllib.txt \
		-r core/twin/requirements-numba.txt
	@touch $@

bench:           ## the figures, one JSON line each (NAME=tick ARGS=--short for a part)
	@$(SETUP) --dev
	@exec $(VENV) -m bench $(NAME) $(ARGS)

pictures:        ## every page as a picture, into pictures/
	@$(SETUP) --dev
	@exec $(VENV) -m scripts.pictures $(ARGS)

clean:           ## remove the environment, caches, pictures and built files; history stays
	rm -rf .venv .venv-rl .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache pictures
	rm -rf components/spheres/frontend/node_modules components/spheres/orrery_spheres/assets
	rm -rf tests/influx/flux_check/node_modules tests/browser/axe/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
