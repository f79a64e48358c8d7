# The tasks of people and of CI; `make` lists them. Every target first sets up what it needs: .venv,
# made by tools/setup.sh.

# Programs get the values of these as they are. They are taken from the environment, so that no
# value is expanded by make or run by the shell.
KNOBS := PYTHON MODEL DATA SEQUENCES SEED STALL WAVES BOARD VARIANT PLACEMENT_SEED JOBS VALUES FAULTS

PYTHON         ?= python3
MODEL          ?= mnist1d
DATA           ?=
SEQUENCES      ?=
SEED           ?= 2
STALL          ?= 0
WAVES          ?= 0
BOARD          ?= ulx3s
VARIANT        ?= 85F
PLACEMENT_SEED ?= 2
JOBS           ?= 1
VALUES         ?= 100000000
FAULTS         ?= 1000

# Knobs of a target beside PYTHON.
knobs-of-help      := $(KNOBS)
knobs-of-sim       := MODEL DATA SEQUENCES SEED STALL WAVES
knobs-of-soak      := VALUES
knobs-of-selftest  := VALUES
knobs-of-campaign  := FAULTS
knobs-of-results   := DATA JOBS
knobs-of-bitstream := BOARD VARIANT MODEL PLACEMENT_SEED
knobs-of-program   := BOARD VARIANT

goals := $(or $(MAKECMDGOALS),help)
knobs := $(foreach goal,$(goals),$(knobs-of-$(goal))) $(if $(filter-out clean,$(goals)),PYTHON)
given := $(foreach name,$(.VARIABLES),$(if $(filter command line,$(origin $(name))),$(name)))
$(foreach name,$(filter-out $(knobs),$(given)),$(error \
    egru-hw: $(name) is no knob of make $(goals): expected $(or $(strip $(knobs)),none)))

$(foreach knob,$(KNOBS),$(eval override $(knob) := $$(value $(knob))))
export $(KNOBS)

# Without torch, which is large: enough for sim, rtl, bitstream and program.
basic := .venv/ready-basic
full  := .venv/ready-full

egru   := .venv/bin/egru
python := .venv/bin/python
# The tools of the environment before those of the system.
environment := PATH="$$PWD/.venv/bin:$$PATH"

.PHONY: help setup sim test soak selftest campaign fuzz prove sanitize bench results lint rtl docs \
    tutorial bitstream program demo train wheel-test clean

help:
	@echo 'make TARGET [KNOB=value ...]'
	@echo
	@echo '  setup       make .venv, the environment of all targets'
	@echo '  sim         run a model on the simulated accelerator and compare it bit by bit'
	@printf '              %s="%s"\n' MODEL "$$MODEL" DATA "$$DATA" SEQUENCES "$$SEQUENCES" \
	    SEED "$$SEED" STALL "$$STALL" WAVES "$$WAVES"
	@echo '  test        run the test suite'
	@echo '  soak        compare random models on the Verilog with the integer model; can be continued'
	@printf '              %s="%s"\n' VALUES "$$VALUES"
	@echo '  selftest    compare random models on a virtual board, over its serial line'
	@printf '              %s="%s"\n' VALUES "$$VALUES"
	@echo '  campaign    disturb the line of a virtual board and kill its hosts; can be continued'
	@printf '              %s="%s"\n' FAULTS "$$FAULTS"
	@echo '  fuzz        run the tests with damaged files and hostile values on many more cases'
	@echo '  prove       prove the queues of the link, and its repetition of frames, for every input'
	@echo '  sanitize    run the C++ tests of the training core under sanitizers'
	@echo '  bench       time the training core against dense networks: build/bench-train/'
	@echo '  results     repeat the cheap experiments and write docs/results.md'
	@printf '              %s="%s"\n' DATA "$$DATA" JOBS "$$JOBS"
	@echo '  lint        check style and types'
	@echo '  rtl         write the Verilog of every preset to rtl/'
	@echo '  docs        write docs/interface.md from the code'
	@echo '  tutorial    run the commands of docs/tutorial.md and write their output there'
	@echo '  bitstream   build build/BOARD-VARIANT/egru.bit and report.json'
	@printf '              %s="%s"\n' BOARD "$$BOARD" VARIANT "$$VARIANT" MODEL "$$MODEL" \
	    PLACEMENT_SEED "$$PLACEMENT_SEED"
	@echo '  program     load the bitstream into a board on USB'
	@printf '              %s="%s"\n' BOARD "$$BOARD" VARIANT "$$VARIANT"
	@echo '  demo        let the shipped language model write text on a virtual board'
	@echo '  train       train the shipped model mnist1d again, to runs/'
	@echo '  wheel-test  build the package and try it outside the checkout'
	@echo '  clean       remove build/ and .venv'
	@echo
	@printf 'PYTHON="%s" is the Python, 3.11 or later, that .venv is made with.\n' "$$PYTHON"

setup: $(full)
	@echo '.venv is ready.'

$(basic): pyproject.toml constraints.txt tools/setup.sh
	@tools/setup.sh basic "$$PYTHON"

$(full): $(basic) CMakeLists.txt $(wildcard golden/core/csrc/*)
	@tools/setup.sh full "$$PYTHON"

sim: $(basic)
	@case "$$WAVES" in 0|1) ;; *) \
	    echo "egru-hw: WAVES is '$$WAVES': expected 0 or 1." >&2; exit 2;; esac
	$(egru) sim "$$MODEL" $(if $(DATA),--data "$$DATA") $(if $(SEQUENCES),--sequences "$$SEQUENCES") \
	    --seed "$$SEED" --stall "$$STALL" $(if $(filter 1,$(WAVES)),--waves)

test: $(full)
	$(python) -m pytest -n 2

soak: $(full)
	$(python) -m tests.soak "$$VALUES"

selftest: $(basic)
	$(python) tools/on_virtual_board.py selftest --values "$$VALUES"

campaign: $(full)
	$(python) -m tests.campaign "$$FAULTS"

fuzz: $(full)
	$(python) -m pytest -n 2 --hypothesis-profile fuzz -o faulthandler_timeout=0 \
	    tests/egru_hw/gateware/test_protocol.py tests/egru_hw/gateware/test_reset.py tests/fuzz

prove: $(full)
	$(python) -m pytest -v tests/formal

sanitize: $(full)
	$(environment) cmake -S . -B build/sanitize -G Ninja -DSANITIZE=ON
	$(environment) cmake --build build/sanitize
	build/sanitize/core_test

bench: $(full)
	$(egru) bench

results: $(full)
	$(egru) results $(if $(DATA),--data "$$DATA") --jobs "$$JOBS"

lint: $(full)
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy

rtl: $(basic)
	$(egru) verilog

docs: $(basic)
	$(python) tools/interface.py

tutorial: $(full)
	$(python) tools/tutorial.py

bitstream: $(basic)
	$(egru) bitstream "$$BOARD" --variant "$$VARIANT" --model "$$MODEL" \
	    --placement-seed "$$PLACEMENT_SEED"

program: $(basic)
	$(egru) program "$$BOARD" --variant "$$VARIANT"

demo: $(basic)
	$(python) tools/on_virtual_board.py generate charlm

train: $(full)
	$(egru) train mnist1d

wheel-test: $(full)
	tools/test_wheel.sh

clean:
	rm -rf build .venv
