# A convenience only: every target is one or two commands that can be typed as well.
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install check test format generate ci

install:            ## a virtual environment with everything the tests need
	python3 -m venv $(VENV) && $(BIN)/pip install -q -e '.[test]'

check:              ## what has to hold before a commit, tests aside
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m eventstore_api.export_openapi --check

test:               ## all tests, on PostgreSQL 18 and on the system's 15 where there is one
	$(BIN)/pytest -n 2 --dist worksteal

format:
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

generate:           ## write generated files anew: OpenAPI, schema.sql, the manifest of frozen SQL
	$(BIN)/python -m eventstore_api.export_openapi
	$(BIN)/python -m tests.migrations.manifest
	$(BIN)/python -m tests.migrations.schema_file

ci:                 ## the same as in CI
	.ci/run
