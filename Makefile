# Every target sets up .venv by itself, once. On Windows without make: see README, "Windows".
PYTHON ?= python3
VENV   ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY    := $(BIN)/python
READY := $(VENV)/.ready
RUN   := $(PY) -m

.PHONY: help lab test test-all render html bench weights results release clean

help:            ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*##/\t/'

$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once; downloads PyTorch, a few minutes) ..."
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'Python 3.11 or newer is needed, this is ' + sys.version.split()[0] + '. Call make PYTHON=/path/to/python3.11 ...')"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -e ".[test,imagenet]" -c constraints.txt
	@$(PY) -c "import pathlib; pathlib.Path('$(READY)').touch()"
	@echo "$(VENV) is ready."

lab: $(READY)    ## open the course in JupyterLab (in your own copy, my_course/)
	$(RUN) course_lib.cli.lab

test: $(READY)   ## what CI checks: unit tests, every notebook, every exercise
	$(RUN) pytest -n auto --dist loadfile --no-loadscope-reorder

test-all: $(READY)   ## the slow checks as well: browser, offline, twice, threads, mutants
	$(RUN) pytest -n auto --dist loadfile --no-loadscope-reorder -m "slow or not slow"

render: $(READY) ## run notebooks and store their outputs (one: NB=notebooks/04_matching.ipynb)
	$(RUN) course_lib.cli.render $(NB)

html: $(READY)   ## the course as static pages in html/
	$(RUN) course_lib.cli.pages

bench: $(READY)  ## time ours against torchvision's
	$(RUN) course_lib.cli.bench

weights: $(READY)   ## train the small checkpoints in data/weights again
	$(RUN) course_lib.experiments.pretrain

results: $(READY)   ## record what is missing of the experiments (hours; NAME=lesson05 JOBS=2 DEVICE=auto ARGS=--anew)
	$(RUN) course_lib.experiments $(or $(NAME),all) --jobs $(or $(JOBS),1) --device $(or $(DEVICE),cpu) $(ARGS)

release: $(READY)   ## pack the course without solutions into dist/
	$(RUN) course_lib.cli.release

clean:           ## remove caches and built pages, nothing a student wrote
	rm -rf html dist data/cache .pytest_cache .ruff_cache .hypothesis
	find course_lib tests notebooks -name __pycache__ -prune -exec rm -rf {} +
