# make demo   a virtual environment, sipcdr in it, a shipped capture replayed into SQLite
# make test   what the tests need (as root on Debian its packages too), then the linters and all tests
# make soak   writers killed 100 times on SQLite and PostgreSQL and 20 times on MariaDB, which takes some ten minutes;
#             then daemons killed 20 times over 200,000 messages, and the database held away for a minute
# make fuzz   what fuzzing needs, then all targets for SECONDS together; TARGETS chooses some
# make fuzz-native  the same of the native kernel alone; it takes a nightly cargo and cargo-fuzz
# make twins  the native kernel held to the Python that defines it, over CASES inputs (a million) of each kind
# make wheel  sdist and wheel in dist/; the wheel is for this platform, with the native kernel where cargo is

PYTHON ?= python3
VENV ?= .venv
SECONDS ?= 600
CASES ?= 1000000
# Separate tests over the processors; a file's tests stay together, as some share servers and ports.
PYTEST_ARGS ?= -n auto --dist loadfile
# What runs again without the native kernel, by the Python that defines it: all that it has a hand in.
REFERENCE = tests/ingest tests/builder tests/scenarios tests/test_ways.py tests/test_kernel.py \
    $(foreach name,kafka pyshark tls,--ignore tests/ingest/test_$(name).py)

DEBIAN_PACKAGES = tshark tcpdump valgrind sip-tester kamailio kamailio-tls-modules kamailio-websocket-modules openssl chromium zstd lz4 zip \
    default-jre-headless maven prometheus systemd postgresql mariadb-server odbc-postgresql odbc-mariadb unixodbc

ifeq ($(OS),Windows_NT)
BIN = $(VENV)/Scripts
else
BIN = $(VENV)/bin
endif

# Captures and schema texts that lie beside the project, where they are there.
CAPTURES = $(wildcard ../shared/captures)
SCHEMA = $(wildcard ../shared/schema)
ifneq ($(CAPTURES),)
export SIPCDR_CAPTURES ?= $(abspath $(CAPTURES))
endif
ifneq ($(SCHEMA),)
export SIPCDR_SCHEMA ?= $(abspath $(SCHEMA))
endif

# What the native kernel is built from, by cargo where it is there.
KERNEL = $(wildcard ingest/native-rs/Cargo.* ingest/native-rs/src/*.rs ingest/native-rs/src/python/*.rs)

.PHONY: demo test soak fuzz fuzz-native twins wheel packages clean

demo: $(VENV)/.installed
	$(BIN)/sipcdr replay fixtures/demo.pcap --to sqlite:///demo.db

test: packages $(VENV)/.installed-test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PYTEST_ARGS)
	SIPCDR_KERNEL=python $(BIN)/python -m pytest $(PYTEST_ARGS) $(REFERENCE)

soak: packages $(VENV)/.installed-test
	SIPCDR_SOAK=1 CI=true $(BIN)/python -m pytest -q tests/app/test_writers.py -k killed
	SIPCDR_SOAK=1 CI=true $(BIN)/python -m pytest -q tests/app/test_daemon_crash.py

fuzz: $(VENV)/.installed-fuzz
	$(BIN)/python -m fuzz.run --seconds $(SECONDS) $(TARGETS)

fuzz-native: $(VENV)/.installed-test
	$(BIN)/python -m fuzz.native --seconds $(SECONDS) $(TARGETS)

twins: $(VENV)/.installed-test
	$(BIN)/python -m fuzz.twins --cases $(CASES) $(TARGETS)

wheel: $(VENV)/.made
	$(BIN)/python -m pip install -qq build
	$(BIN)/python -m build

packages:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    missing=""; \
	    for package in $(DEBIAN_PACKAGES); do \
	        dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || missing="$$missing $$package"; \
	    done; \
	    $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	    if [ -n "$$missing" ]; then \
	        echo "installing$$missing"; \
	        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; \
	    fi; \
	fi

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "sipcdr needs Python 3.11 or newer: $(PYTHON) is $$($(PYTHON) --version 2>&1). Try make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "$(PYTHON) can't make virtual environments here. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade pip
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml $(KERNEL)
	$(BIN)/python -m pip install -qq -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.made pyproject.toml $(KERNEL)
	$(BIN)/python -m pip install -qq -e . --group test
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-fuzz: $(VENV)/.made pyproject.toml $(KERNEL)
	$(BIN)/python -m pip install -qq -e . --group fuzz
	@touch $@ $(VENV)/.installed

clean:
	rm -rf build dist demo.db demo.db-shm demo.db-wal
