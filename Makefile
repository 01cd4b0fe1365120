# Three verbs: `make demo` (the whole loop on the shipped pack), `make test`, `make app`.
# Every verb sets up what it needs first and can be run again at any time: finished work is skipped.

PYTHON      ?= python3
VENV        ?= .venv
# CPU build of torch. With an NVIDIA GPU: make demo TORCH_INDEX=https://download.pytorch.org/whl/cu130
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
WORKSPACE   ?= demo
PORT        ?= 8501
TASK        ?= sarcastic-bot
AREA        ?= all
TESTS       ?=

BIN   := $(VENV)/bin
STAMP := $(VENV)/.goldpair-installed

.PHONY: demo test soak app bench lint docs lock setup system clean help

help:            ## list the verbs
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: system $(STAMP)   ## system packages, virtual environment, locked dependencies, demo model

system:
	@sh scripts/system-packages.sh

$(STAMP): pyproject.toml requirements.lock scripts/install.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" TORCH_INDEX="$(TORCH_INDEX)" sh scripts/install.sh
	@touch $@

demo: setup      ## raw records -> released model with its report, on the shipped pack
	@$(BIN)/goldpair demo --task $(TASK) --workspace $(WORKSPACE)

test: setup      ## lint, types and all tests
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

soak: setup      ## long random runs: kills, interleavings
	@$(BIN)/python -m pytest -n 2 -m soak

app: setup       ## serve the pages; the demo's workspace if there is one
	@$(BIN)/goldpair init $(WORKSPACE) --quiet
	@$(BIN)/goldpair serve --workspace $(WORKSPACE) --port $(PORT)

bench: setup     ## benchmarks; AREA=dedupe|privacy|training|... for one
	@$(BIN)/python -m benchmarks $(AREA)

lint: setup      ## ruff and mypy only
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

docs: setup      ## regenerate what is made from code, results and packs
	@$(BIN)/python -m scripts.gen_docs
	@$(BIN)/python -m scripts.results
	@$(BIN)/python -m scripts.pack_diversity

lock:            ## resolve pyproject.toml anew into requirements.lock (then run make test)
	@PYTHON="$(PYTHON)" TORCH_INDEX="$(TORCH_INDEX)" sh scripts/lock.sh

clean:           ## remove the demo's workspace (not the environment)
	rm -rf demo
