# Two commands for a newcomer: `make demo` and `make test`. Each target sets up .venv by itself.
#
#   make demo         the kit in a few minutes, on a laptop; writes ./demo-output
#   make lab          JupyterLab on the first notebook
#   make test         formatting, lint and the tests
#   make lint         formatting and lint only
#   make notebooks    build the notebooks and the homework from their paired texts
#   make colab        the library beside the versions that Colab has, in .venv-colab
#   make clean        remove the environment, caches and outputs
#
# Choices, as variables:
#   make PYTHON=python3.12 ...     another Python (3.11 to 3.13)
#   make TORCH_INDEX=ADDRESS ...   where pip finds your build of torch (CPU-only or a CUDA
#                                  version): the address PyTorch's "Get started" page shows
#   make WORKERS=4 test            parallel test processes
#   make NOTEBOOKS=shipped test    run the notebooks with the sizes that students see, as CI does,
#                                  and not with next to no training

# Written for make 3.81 too, which macOS still ships: no .ONESHELL.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(shell grep '^torch==' constraints.txt)
TORCH_INDEX ?=
PYTHON ?=
WORKERS ?= auto
NOTEBOOKS ?= small
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo lab test lint tools notebooks colab clean setup FORCE
help:
	@sed -n '/^# Written/q; s/^# \{0,1\}//p' Makefile

# The stamp names the folder it was made in: a copied or moved checkout gets its own environment.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): FORCE
endif

# torch comes first and alone, so that nothing that depends on it can choose another build.
$(STAMP): pyproject.toml constraints.txt
	@python=; \
	for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	  if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	    2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  found=$$("$(or $(PYTHON),python3)" --version 2>/dev/null || echo "not there"); \
	  echo "The kit needs Python 3.11, 3.12 or 3.13; $(or $(PYTHON),python3) is $$found." >&2; \
	  echo "Install one of these, then: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$python lacks the venv module." \
	    "On Debian or Ubuntu: sudo apt install python3-venv" >&2; \
	  exit 1; \
	fi; \
	if [ "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" ]; then \
	  echo "Bringing $(VENV) up to date."; \
	else \
	  echo "Setting up $(VENV) with $$("$$python" --version); this takes some minutes, once."; \
	  "$$python" -m venv --clear $(VENV); \
	fi
	@rm -f $(STAMP)
	$(PIP) install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH)'
	$(PIP) install --quiet -c constraints.txt -e '.[dev,lab,homework]'
	@echo '$(CURDIR)' > $(STAMP)

setup: $(STAMP)

demo: $(STAMP)
	@$(MAKE) --no-print-directory tools WANTED=bwrap:bubblewrap
	@$(BIN)/course demo

lab: $(STAMP)
	@$(BIN)/course lab

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

# What the tests of grading use besides Python, and are skipped without: a sandbox for student code, a
# browser, a database server. As root, as in CI's containers, they are installed; elsewhere named.
TOOLS := bwrap:bubblewrap chromium:chromium pg_ctl:postgresql
tools:
	@missing=; for pair in $(if $(WANTED),$(WANTED),$(TOOLS)); do \
	  command -v "$${pair%%:*}" >/dev/null || ls /usr/lib/postgresql/*/bin/"$${pair%%:*}" \
	    >/dev/null 2>&1 || missing="$$missing $${pair#*:}"; \
	done; \
	if [ "$$(uname)" = Linux ] && [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing$$missing, which grading and its tests use."; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
	      --no-install-recommends $$missing; } >/dev/null 2>&1 \
	      || echo "Not installed:$$missing; what needs them is skipped." >&2; \
	  else \
	    echo "Not here:$$missing; what needs them is skipped." \
	      "On Debian or Ubuntu: sudo apt install$$missing" >&2; \
	  fi; \
	fi

# One thread per worker: the models are small, and threads that share cores slow each other down.
test: lint tools
	@OMP_NUM_THREADS=1 COURSE_NOTEBOOKS=$(NOTEBOOKS) \
	  $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist load --maxschedchunk 1

notebooks: $(STAMP)
	@$(BIN)/python notebooks/build.py
	@$(BIN)/python -c 'from autograder.paired import build_all; build_all()'

# The setup cell is played as Colab would, then what notebooks use is tested beside Colab's versions.
COLAB := .venv-colab
LIBRARY := compression early_exit hub plm prompting recipes tasks training tuning test_estimate.py
colab:
	@test -x $(COLAB)/bin/python || $(or $(PYTHON),python3) -m venv $(COLAB)
	@$(COLAB)/bin/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH)'
	@$(COLAB)/bin/python -m pip install --quiet -r tests/colab/packages.txt
	@$(COLAB)/bin/python -m pip uninstall --quiet --yes peft-course-kit
	@$(COLAB)/bin/python tests/colab/check.py
	@$(COLAB)/bin/python -m pip install --quiet pytest pytest-xdist hypothesis
	@OMP_NUM_THREADS=1 $(COLAB)/bin/python -m pytest -q -n $(WORKERS) --maxprocesses 8 \
	  $(addprefix tests/,$(LIBRARY))

clean:
	@rm -rf $(VENV) $(COLAB) build dist *.egg-info demo-output runs .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
	@find . -name .ipynb_checkpoints -type d -not -path './.git/*' -prune -exec rm -rf {} +
