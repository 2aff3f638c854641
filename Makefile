# `make` lists the targets. Every target sets up what it needs first; that is silent when nothing is to do.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast test-year test-cluster lint format lock audit image image-gpu clean

BIN := .venv/bin
SHELL_SCRIPTS := .ci/run kubeflow/*.sh scripts/*.sh
# A file's tests share a worker, for what they share costs more than they do. Files come in the order of their names, which
# has whole pipelines first.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
CACHES := .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Make .venv with everything the project needs
	@bash scripts/setup.sh

run: setup ## Run the pipeline's demo, from data to pushed model
	@$(BIN)/petseg run --preset demo

test: setup lint ## Run every check and every test (PYTEST_ARGS="..." is passed on)
	env -u PETSEG_TEST_KUBEFLOW $(PYTEST) $(PYTEST_ARGS)

test-fast: setup ## Run the unit tests but for the slow ones (PYTEST_ARGS="..." is passed on)
	$(PYTEST) tests/unit -m "not slow" $(PYTEST_ARGS)

test-year: setup ## Live through weeks of scheduled firings with what goes wrong in them (LENGTH=year for a whole year)
	PETSEG_TEST_YEAR=$(or $(LENGTH),weeks) $(BIN)/pytest -v tests/integration/test_retraining_year.py $(PYTEST_ARGS)

test-cluster: setup ## Run the tests on the cluster of KUBECONFIG and PETSEG_TEST_KUBEFLOW or PETSEG_TEST_KSERVE (PYTEST_ARGS="...")
	@test -n "$$KUBECONFIG" -a -n "$$PETSEG_TEST_KUBEFLOW$$PETSEG_TEST_KSERVE" || \
		{ echo 'Set KUBECONFIG and PETSEG_TEST_KUBEFLOW or PETSEG_TEST_KSERVE: CONTRIBUTING.md, "A real cluster".'; exit 2; }
	$(BIN)/pytest -v --durations=0 --durations-min=1 tests/cluster $(PYTEST_ARGS)

# The lock is checked against the index it names, whatever index is set here. The last command runs those hooks of
# pre-commit that are not listed before it, on the files that git knows; it is left out where there is no git.
lint: setup ## Check format, style, types, imports between packages, dependencies, scripts, the Dockerfile and the lock
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry --no-ansi .
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	$(BIN)/hadolint kubeflow/Dockerfile
	env -u UV_DEFAULT_INDEX -u UV_INDEX_URL -u UV_INDEX .tools/bin/uv lock --check --offline --quiet --python $(BIN)/python || \
		{ echo 'uv.lock does not fit pyproject.toml: run make lock'; exit 1; }
	! git rev-parse --git-dir >/dev/null 2>&1 || SKIP=ruff-format,ruff,mypy,imports,dependencies,shellcheck,hadolint \
		PRE_COMMIT_HOME=.tools/pre-commit $(BIN)/pre-commit run --all-files

format: setup ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## Update uv.lock after a change of the dependencies
	.tools/bin/uv lock --python $(BIN)/python

# A server that gives no answer (3) is said, and fails nothing.
audit: setup ## Ask osv.dev for known vulnerabilities of what uv.lock lists
	@bash scripts/audit.sh || [ $$? -eq 3 ]

image: ## Build the container image petseg:latest (TAG="..." for another name)
	@bash kubeflow/build.sh cpu $(TAG)

image-gpu: ## Build the container image petseg:latest-gpu, with CUDA libraries (TAG="...")
	@bash kubeflow/build.sh gpu $(TAG)

clean: ## Remove the caches and dist (not .venv, .tools, pipeline_root)
	rm -rf $(CACHES)
	find petseg pipeline components trainer_module tests -name __pycache__ -prune -exec rm -rf {} +
	@echo 'Kept: .venv and .tools (make setup made them), pipeline_root (your runs and models).'
