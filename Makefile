# A convenience only: every target is one or two commands that can be typed as well.
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install check test slow postgres-15 coverage format generate constraints floors ci

install:            ## a virtual environment with everything the tests need
	python3 -m venv $(VENV) && $(BIN)/pip install -q -c constraints.txt -e '.[test]'

check:              ## what has to hold before a commit, tests aside
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m eventstore_api.export_openapi --check

test:               ## what everyone runs at every change: minutes
	$(BIN)/pytest -n auto --dist worksteal

slow:               ## soak, kill rounds, memory, browser, packaging, benchmarks: minutes more
	$(BIN)/pytest -n auto --dist worksteal -m slow

postgres-15:        ## what depends on the server, on the system's PostgreSQL 15
	$(BIN)/pytest -n auto --dist worksteal --postgres 15 -m postgres

coverage:           ## all tests, and what they do not reach
	$(BIN)/pytest -n auto --dist worksteal -m "" --cov --cov-report=term

format:
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

generate:           ## write generated files again: OpenAPI, schema.sql, the manifest of frozen SQL
	$(BIN)/python -m eventstore_api.export_openapi
	$(BIN)/python -m tests.migrations.manifest
	$(BIN)/python -m tests.migrations.schema_file

constraints:        ## the newest versions that fit together, for the tests and the image
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --extra test \
		--no-annotate --custom-compile-command "make constraints" -o constraints.txt pyproject.toml

floors:             ## a virtual environment with the lowest versions that pyproject.toml allows
	python3 -m venv $(VENV) && $(BIN)/pip install -q uv
	$(BIN)/uv pip install -q --python $(BIN)/python --resolution lowest-direct -e '.[test]'

ci:                 ## the same as in CI
	.ci/run
