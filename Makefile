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
	$(PY) -m pip install --quiet --disable-pip-version-check -e ".[test]" -c constraints.txt
	@$(PY) -c "import pathlib; pathlib.Path('$(READY)').touch()"
	@echo "$(VENV) is ready."
