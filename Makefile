# make demo: installs Heatproof without torch and gates the bundled CNN on the bundled photographs.
# make test: installs what the tests need and runs every check.
# make zoo: checks the architectures of timm and torchvision and writes docs/coverage.md; takes
#           hours, goes on where it was stopped. ZOO="--quick", "--family NAME", "--again", "--jobs N".
# make peers: runs other libraries' metrics, explainers and operators beside Heatproof's on the same
#           model, images and maps and writes docs/agreement.md. PEERS="--only NAME".
# make bench: measures speed, growth, memory and start, and other libraries' beside, on an idle machine
#           for 20 minutes, and writes docs/performance.md. BENCH="--only peers", "--quick".
# make plugins: tests the adapters and the MLflow evaluator against the libraries themselves.
# make mutants: plants each fault of tests/mutants in a copy of the tree and sees its test fail.
#           MUTANTS="--only TEXT".

PYTHON ?= python3
PIP_INSTALL = install --quiet --disable-pip-version-check --constraint constraints.txt

DEMO = .venv
TEST = .venvs/test
BIN = $(TEST)/bin
AXE_VERSION = 4.14.1
AXE = $(TEST)/axe-core/package/axe.min.js
ZOO_HOME = .venvs/zoo
PEERS_HOME = .venvs/peers
PLUGINS_HOME = .venvs/plugins
BENCH_HOME = .venvs/bench
FUZZ_SECONDS ?= 600
PROTOS = $(wildcard protos/heatproof/v1/*.proto protos/heatproof/v1/*/*.proto)
PYTHON_SOURCES = protos/hatch_build.py client server evaluators graphs tests benchmarks examples .ci

.PHONY: demo test install-test format lint types layers contract contract-archive contract-release unit hunt fuzz size \
	zoo peers bench plugins xplique mutants clean

demo: $(DEMO)/installed
	mkdir -p report
	$(DEMO)/bin/heatproof gate \
		--model examples/models/efficientnet-lite0.onnx \
		--classes examples/models/imagenet-classes.txt \
		--images examples/photographs \
		--labels examples/labels.csv --masks examples/masks \
		--policy examples/heatproof.toml \
		--json report/report.json --junit report/junit.xml \
		--markdown report/report.md --html report/report.html

$(DEMO)/installed: pyproject.toml constraints.txt $(PROTOS)
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip $(PIP_INSTALL) --editable '.[server,report]'
	touch $@

test: lint types layers contract unit size

install-test: $(TEST)/installed $(AXE)

# The tests of the pages look for barriers by axe-core, which npm alone has.
$(AXE):
	@command -v npm >/dev/null || { echo "npm is needed: the tests of the pages use axe-core" >&2; exit 1; }
	mkdir -p $(TEST)/axe-core
	cd $(TEST)/axe-core && npm pack --silent axe-core@$(AXE_VERSION) >/dev/null
	tar -xzf $(TEST)/axe-core/axe-core-$(AXE_VERSION).tgz -C $(TEST)/axe-core package/axe.min.js
	touch $@

$(TEST)/installed: pyproject.toml constraints.txt $(PROTOS)
	$(PYTHON) -m venv $(TEST)
	$(BIN)/python -m pip $(PIP_INSTALL) --editable '.[dev]'
	touch $@

format: install-test
	$(BIN)/ruff format $(PYTHON_SOURCES)
	$(BIN)/ruff check --fix $(PYTHON_SOURCES)
	$(BIN)/buf format --write protos

lint: install-test
	$(BIN)/ruff format --check $(PYTHON_SOURCES)
	$(BIN)/ruff check $(PYTHON_SOURCES)

types: install-test
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

layers: install-test
	$(BIN)/lint-imports

contract: install-test
	$(BIN)/python protos/image.py build/api.binpb
	$(BIN)/buf lint build/api.binpb --path heatproof --config buf.yaml
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/buf breaking build/api.binpb --against protos/released.binpb --path heatproof --config buf.yaml

# The contract with all that it imports, for compilers of any language; part of a release.
contract-archive: install-test
	$(BIN)/python protos/image.py build/api.binpb
	$(BIN)/python protos/archive.py build/api.binpb build/heatproof-protos.zip

# Makes today's contract the one that later changes must not break; part of a release.
contract-release: install-test
	$(BIN)/python protos/image.py protos/released.binpb

unit: install-test
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# Looks for networks that break a law of layer masking or whose gradient is wrong; unlike the unit
# tests anew each time, and for many minutes.
hunt: install-test
	HUNT=2000 $(BIN)/python -m pytest --numprocesses 2 tests/graphs/masking/networks/test_random_networks.py

# Ten minutes a parser of strangers' bytes; `make unit` spends ten seconds on each.
fuzz: install-test
	for target in models images requests; do \
		$(BIN)/python -m tests.system.fuzz $$target -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

size: install-test
	$(BIN)/python .ci/size_report.py client server evaluators graphs
	$(BIN)/python .ci/structure_report.py client server evaluators graphs

zoo: $(ZOO_HOME)/installed
	$(ZOO_HOME)/bin/python -m tests.graphs.zoo $(ZOO)

# Its own environment: the newest torch, and gigabytes of it.
$(ZOO_HOME)/installed: pyproject.toml tests/graphs/zoo/requirements.txt $(PROTOS)
	$(PYTHON) -m venv $(ZOO_HOME)
	$(ZOO_HOME)/bin/python -m pip install --quiet --disable-pip-version-check \
		--requirement tests/graphs/zoo/requirements.txt --editable '.[server]'
	touch $@

peers: $(PEERS_HOME)/installed
	$(PEERS_HOME)/bin/python -m tests.peers $(PEERS)

# Its own environment: the peers hold to versions of their own.
$(PEERS_HOME)/installed: pyproject.toml tests/peers/requirements.txt $(PROTOS)
	$(PYTHON) -m venv $(PEERS_HOME)
	$(PEERS_HOME)/bin/python -m pip install --quiet --disable-pip-version-check \
		--requirement tests/peers/requirements.txt --editable '.[server]'
	touch $@

bench: install-test $(BENCH_HOME)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks --peers $(BENCH_HOME)/bin/python $(BENCH)

# Its own environment, for the other libraries hold to versions of their own.
$(BENCH_HOME)/installed: pyproject.toml benchmarks/peers/requirements.txt $(PROTOS)
	$(PYTHON) -m venv $(BENCH_HOME)
	$(BENCH_HOME)/bin/python -m pip install --quiet --disable-pip-version-check \
		--requirement benchmarks/peers/requirements.txt --editable '.[server]'
	touch $@

plugins: $(PLUGINS_HOME)/installed
	$(PLUGINS_HOME)/bin/python -m pytest tests/plugins

# Its own environment, for they are large and hold to versions of their own.
$(PLUGINS_HOME)/installed: pyproject.toml tests/plugins/requirements.txt $(PROTOS)
	$(PYTHON) -m venv $(PLUGINS_HOME)
	$(PLUGINS_HOME)/bin/python -m pip install --quiet --disable-pip-version-check \
		--requirement tests/plugins/requirements.txt --editable '.[server,report,torch]'
	touch $@

# TensorFlow's peer, whose answers are stored: needed again only when what it is asked changes.
xplique:
	$(PYTHON) -m venv .venvs/xplique
	.venvs/xplique/bin/python -m pip install --quiet --disable-pip-version-check \
		--requirement tests/peers/xplique_requirements.txt
	.venvs/xplique/bin/python -m tests.peers.xplique_values

mutants: install-test
	$(BIN)/python -m tests.mutants $(MUTANTS)

clean:
	rm -rf $(DEMO) .venvs build dist report
