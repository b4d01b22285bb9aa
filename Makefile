# make demo     explain real records with the shipped models
# make test     everything the project is held to
# make check    style and types only
# make smoke    what a record goes through, with another Python: make smoke PYTHON=python3.13 (the oldest is 3.10)
# make fuzz     the properties again, on examples drawn anew, TIMES times (default 10)
# make models   fit the shipped models again      (SENSECF_DATA: folder with the public tables; hours)
# make evaluate measure the shipped models on their final people again  (SENSECF_DATA as above)
# make soak     robustness measured: hostile rows, kill -9, full disks, lost brokers (minutes)
# make bench    build llama.cpp's own bench (outside this folder) and measure beside it
# make llama-server  build llama.cpp's own server (outside this folder): what --generator openai: is tested against
# make axe      axe-core into .axe, for the tests of the page (npm)
# make wheel    the wheel, shipped models inside
# make kit      one archive that installs without network or compiler (docs/kit.md); builds llama.cpp for many processors

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
SENSECF_DATA ?= data
TABLES ?= fit-work
RUN = $(VENV)/bin/sensecf-edge
CACHE = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sensecf-edge

# llama.cpp without its multimodal part; set CMAKE_ARGS yourself for another build (CUDA, say).
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test check smoke axe fuzz soak models evaluate figures bench bench-8b llama-server wheel kit kit-speed clean

demo: $(VENV)/.runtime
	@$(RUN) explain --sample 2 --model metabolic
	@echo
	@$(RUN) explain --sample 1 --model stress -n 2

# One process for each of up to four processors, with the tests of one file together: they share what is fitted for them.
PYTEST ?= -n auto --maxprocesses 4 --dist loadfile

test: export OMP_NUM_THREADS = 1
test: check
	$(VENV)/bin/python -m pytest $(PYTEST)

check: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# The runtime and its tests alone, in an environment of that Python's own; llama.cpp's wheel is made once and serves them all.
SMOKE = $(CACHE)/smoke/$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
SMOKED = admissible bundle codes density engine exact exchange explain fhir generators grammar hooks layouts lightness \
    measure onnx_checker process prompt rank reader record refine reply report result risk rules schema sensor_exports \
    sensor_shapes sensors serve shipped stability stream trial watch

smoke: $(CACHE)/wheels/.made
	$(PYTHON) -m venv $(SMOKE)
	$(SMOKE)/bin/python -m pip install -q --find-links $(CACHE)/wheels --only-binary llama-cpp-python -e '.[batch,mqtt,sensors]' \
	    pytest hypothesis jsonschema onnx gguf psutil scikit-learn
	$(SMOKE)/bin/python -m pytest $(SMOKED:%=tests/test_%.py)

$(CACHE)/wheels/.made:
	$(firstword $(wildcard $(VENV)/bin/python) $(PYTHON)) -m pip wheel -q --no-deps -w $(@D) llama-cpp-python==0.3.36
	@touch $@

TIMES ?= 10
fuzz: $(VENV)/.test
	for k in $$(seq $(TIMES)); do $(VENV)/bin/python -m pytest -m hypothesis --hypothesis-profile fresh || exit 1; done

soak: $(VENV)/.test
	$(VENV)/bin/python tests/soak/soak.py
	$(VENV)/bin/python tests/soak/mutated.py
	$(VENV)/bin/python tests/soak/hostile_bundles.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(VENV)/bin/python pyproject.toml
	@echo "Installing. The first time llama.cpp is compiled: 4 to 15 minutes; pip keeps the result for the next time."
	$(VENV)/bin/python -m pip install -q -e .
	@touch $@

$(VENV)/.test: $(VENV)/.runtime
	@echo "Installing what the build side and the tests need (PyTorch among it)."
	$(VENV)/bin/python -m pip install -q $(TORCH)
	$(VENV)/bin/python -m pip install -q -e '.[test]'
	@touch $@

$(TABLES)/%.csv: convert/sensecf_convert/table/sources.py | $(VENV)/.test
	@mkdir -p $(TABLES)
	$(VENV)/bin/python -m sensecf_convert.table.sources $* $(SENSECF_DATA) -o $@

# Days are made by the runtime's own code: another rule there is another table, and the bundle is to be fitted again.
$(TABLES)/stress.csv: convert/sensecf_convert/table/raw_stress.py $(wildcard sensecf_edge/sensors/*.py sensecf_edge/sensors/readers/*.py)

models: $(TABLES)/stress.csv $(TABLES)/heart.csv $(TABLES)/metabolic.csv
	$(RUN) fit $(TABLES)/stress.csv --target stress --wanted calm --person person -o models/stress --allow few-people \
	    --test-share 0.23 --final-share 0.23 \
	    --schema convert/schemas/stress.schema.json --about convert/about/stress.json --work $(TABLES)/stress \
	    --pairs 20000 --passes 5 --seed 1 --improve --limit 0
	$(RUN) fit $(TABLES)/heart.csv --target disease --wanted healthy -o models/heart --test-share 0.2 --final-share 0.2 \
	    --schema convert/schemas/heart.schema.json --about convert/about/heart.json --work $(TABLES)/heart \
	    --pairs 60000 --passes 7 --improve --limit 0
	$(RUN) fit $(TABLES)/heart.csv --target disease --wanted healthy -o models/heart-smollm2 --test-share 0.2 --final-share 0.2 \
	    --schema convert/schemas/heart.schema.json --about convert/about/heart.json --work $(TABLES)/heart-smollm2 \
	    --base smollm2 --rank 8 --rate 1e-3 --pairs 4000 --passes 1 --limit 0
	$(RUN) fit $(TABLES)/metabolic.csv --target Diabetes --wanted No -o models/metabolic --test-share 0.2 --final-share 0.2 \
	    --schema convert/schemas/metabolic.schema.json --about convert/about/metabolic.json --work $(TABLES)/metabolic \
	    --pairs 40000 --passes 4 --seed 1 --improve --limit 0

evaluate: $(TABLES)/stress.csv $(TABLES)/heart.csv $(TABLES)/metabolic.csv
	$(RUN) evaluate $(TABLES)/stress.csv --model stress --final --curve
	$(RUN) evaluate $(TABLES)/heart.csv --model heart --final --curve
	$(RUN) evaluate $(TABLES)/metabolic.csv --model metabolic --final --curve

include figures.mk

# llama.cpp at the commit the runtime is built from, its bench, and a model without a mind over the real Llama 3 vocabulary.
LLAMA = llama_cpp_python-0.3.36
LLAMA_CPP = $(CACHE)/llama/$(LLAMA)/vendor/llama.cpp
BENCH_MODEL ?= stress
BENCH_OPTIONS ?=

$(LLAMA_CPP)/CMakeLists.txt: | $(VENV)/.runtime
	@mkdir -p $(CACHE)/llama
	$(VENV)/bin/python -m pip download -q --no-deps --no-binary llama-cpp-python -d $(CACHE)/llama llama-cpp-python==0.3.36
	tar -xzf $(CACHE)/llama/$(LLAMA).tar.gz -C $(CACHE)/llama
	@touch $@

$(CACHE)/llama/build/bin/llama-batched-bench: | $(LLAMA_CPP)/CMakeLists.txt
	@echo "Building llama.cpp's bench: 10 to 20 minutes on two cores, once."
	cmake -S $(LLAMA_CPP) -B $(CACHE)/llama/build -DCMAKE_BUILD_TYPE=Release -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TESTS=OFF \
	    -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF
	cmake --build $(CACHE)/llama/build --target llama-batched-bench -j 2

$(CACHE)/llama3-%.gguf: | $(LLAMA_CPP)/CMakeLists.txt $(VENV)/.test
	PYTHONPATH=tools $(VENV)/bin/python -m sensecf_bench.random_model $(LLAMA_CPP)/models/ggml-vocab-llama-bpe.gguf $@ --shape $*

# llama.cpp's own server of the same commit: what `--generator openai:` is tested against. Outside this folder, once.
$(CACHE)/llama/server/bin/llama-server: | $(LLAMA_CPP)/CMakeLists.txt
	@echo "Building llama-server: 15 to 30 minutes on two cores, once."
	cmake -S $(LLAMA_CPP) -B $(CACHE)/llama/server -DCMAKE_BUILD_TYPE=Release -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_TESTS=OFF \
	    -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF
	cmake --build $(CACHE)/llama/server --target llama-server -j 2

llama-server: $(CACHE)/llama/server/bin/llama-server

bench: $(VENV)/.test $(CACHE)/llama/build/bin/llama-batched-bench $(CACHE)/llama3-tiny.gguf
	PYTHONPATH=tools $(VENV)/bin/python -m sensecf_bench --model $(BENCH_MODEL) $(BENCH_OPTIONS)

# An 8B shape of random weights (5 GB) under the same yardsticks.
bench-8b: $(VENV)/.test $(CACHE)/llama/build/bin/llama-batched-bench $(CACHE)/llama3-8b.gguf
	PYTHONPATH=tools $(VENV)/bin/python -m sensecf_bench --model $(BENCH_MODEL) --generator $(CACHE)/llama3-8b.gguf --threads 2 $(BENCH_OPTIONS)

# What tests hold the page against WCAG with; it is in no wheel.
AXE = 4.10.3
axe: .axe/axe-$(AXE).min.js

.axe/axe-$(AXE).min.js:
	@mkdir -p .axe
	npm pack --silent --pack-destination .axe axe-core@$(AXE)
	tar -xzOf .axe/axe-core-$(AXE).tgz package/axe.min.js > $@.part && mv $@.part $@

wheel: $(VENV)/bin/python
	$(VENV)/bin/python -m pip wheel -q --no-deps -w dist .

# One archive that installs where there is neither network nor compiler. llama.cpp with kernels for each generation of processors,
# the best of which is chosen when it is loaded. Left out: what NumPy does not run on (x64), and what differs from a neighbour by
# instructions that the shipped models do not use.
KIT_VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' sensecf_edge/__init__.py)
KIT_PYTHONS ?= 3.11 3.12 3.13 3.14
KIT_MACHINE ?= $(shell uname -m)
# For another machine than this one by Debian's cross compiler: apt-get install g++-aarch64-linux-gnu, make kit KIT_MACHINE=aarch64.
KIT_CROSS = $(filter-out $(shell uname -m),$(KIT_MACHINE))
KIT_COMPILER ?= $(if $(KIT_CROSS),$(KIT_CROSS)-linux-gnu-gcc,cc)
KIT_CMAKE ?= $(if $(KIT_CROSS),-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=$(KIT_CROSS) -DCMAKE_C_COMPILER=$(KIT_COMPILER) \
    -DCMAKE_CXX_COMPILER=$(KIT_CROSS)-linux-gnu-g++)
KIT_LEFT_OUT = x64|piledriver|cannonlake|cascadelake|cooperlake|zen4|sapphirerapids|armv8.2_3|armv8.6_1|armv9.2_1|armv9.2_2
PORTABLE = $(CACHE)/llama/portable-$(KIT_MACHINE)
CYCLONEDX = 7.5.0
KIT_TOOLS = $(CACHE)/kit-tools

$(PORTABLE)/.built: | $(LLAMA_CPP)/CMakeLists.txt
	@echo "Building llama.cpp for many processors: 10 to 20 minutes on two idle cores, once."
	sed -i -E '/ggml_add_cpu_backend_variant\(($(KIT_LEFT_OUT))[ )]/d' $(LLAMA_CPP)/ggml/src/CMakeLists.txt
	cmake -S $(LLAMA_CPP) -B $(PORTABLE) -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON \
	    -DGGML_CPU_ALL_VARIANTS=ON -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TESTS=OFF \
	    -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON \
	    '-DCMAKE_INSTALL_RPATH=$$ORIGIN' -DCMAKE_SHARED_LINKER_FLAGS=-s -DCMAKE_MODULE_LINKER_FLAGS=-s $(KIT_CMAKE)
	cmake --build $(PORTABLE) --target llama -j 2
	@touch $@

$(KIT_TOOLS)/.made: | $(VENV)/bin/python
	$(VENV)/bin/python -m venv $(KIT_TOOLS)
	$(KIT_TOOLS)/bin/python -m pip install -q cyclonedx-bom==$(CYCLONEDX) packaging
	$(KIT_TOOLS)/bin/python -m pip download -q --no-deps -d $(KIT_TOOLS)/pip pip
	@touch $@

kit: wheel $(PORTABLE)/.built $(KIT_TOOLS)/.made
	PYTHONPATH=tools $(KIT_TOOLS)/bin/python -m sensecf_kit --dist dist --version $(KIT_VERSION) --llama $(PORTABLE) \
	    --source $(CACHE)/llama/$(LLAMA) --machine $(KIT_MACHINE) --here $(shell uname -m) --compiler $(KIT_COMPILER) \
	    --pythons $(KIT_PYTHONS) --cyclonedx $(KIT_TOOLS)/bin/cyclonedx-py --pip $(KIT_TOOLS)/pip

# The kit's llama.cpp beside the one that is installed here, in turns.
kit-speed: $(VENV)/.test $(PORTABLE)/.built
	PYTHONPATH=tools $(VENV)/bin/python -m sensecf_kit.speed $(PORTABLE)/bin

clean:
	rm -rf $(VENV) dist build
