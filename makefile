# make            build bin/dlnfp          make demo      the flagship run, with its figures
# make test       every test               make test-slow the calibration tests, minutes each
# make lint       format, static checks    make sanitize  the tests under ASan and UBSan
# make notebooks  every figure, as HTML in out/figures; the demo makes those of the flagship run
# make bench      timings beside SciPy     make install   PREFIX=/usr/local, DESTDIR=
# make deps       installs what is missing (Debian); demo, test, lint and bench call it
# V=1 prints whole commands.
SHELL        := /bin/bash
PREFIX       ?= /usr/local
PYTHON       := /usr/bin/python3
VERSION      := $(shell sed -n 's/^\#define FP_VERSION "\(.*\)"/\1/p' include/fputil.h)
PKGS         := PETSc SLEPc fftw3 gsl jansson yaml-0.1 hdf5-openmpi
CC           := mpicc
OPT          ?= -O2 -ftree-vectorize -fno-math-errno -fno-trapping-math
CFLAGS       := -std=gnu11 -g $(OPT) -fopenmp -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(CFLAGS_EXTRA)
CPPFLAGS      = -Iinclude $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS) 2>/dev/null))
MPIFLAGS      = $(shell mpicc --showme:compile 2>/dev/null)
LDLIBS        = $(shell pkg-config --libs $(PKGS)) -llapack -lblas -lm
BUILD        := build
BIN          := bin
JOBS         := $(shell nproc 2>/dev/null || echo 2)
sources      := $(wildcard src/*.c src/*/*.c tests/*.c)
headers      := $(wildcard include/*.h src/*/*.h tests/*.h)
lib          := $(patsubst %.c,$(BUILD)/%.o,$(filter-out src/main.c,$(wildcard src/*/*.c)))
tests        := $(patsubst %.c,$(BUILD)/%,tests/t-pairs.c $(filter-out tests/t-pairs.c,$(wildcard tests/t-*.c))) # longest first
slow         := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/slow-*.c))
benches      := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench-*.c))
notebooks    := $(wildcard notebooks/*.ipynb)
flagship     := notebooks/currents.ipynb notebooks/spectrum.ipynb
# Runs whose results the notebooks read, as out/NAME.
notebook_runs := $(patsubst %,out/%/results.json,diabetes_chain2)

export OMPI_ALLOW_RUN_AS_ROOT=1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_orte_create_session_dirs=0
export OMP_NUM_THREADS ?= 2
export OPENBLAS_NUM_THREADS ?= 1
export PYTHON

.PHONY: all deps demo notebooks test test-slow bench sanitize install uninstall clean
.PHONY: lint lint-format lint-gcc lint-clang lint-cppcheck lint-tidy
.DELETE_ON_ERROR:
.SECONDARY:

show = $(if $(V),,@echo '$(1)'; )

all: $(BIN)/dlnfp

$(BIN)/dlnfp: $(BUILD)/src/main.o $(lib)
$(tests) $(slow) $(benches): %: %.o $(lib)
$(tests) $(slow) $(benches): LDLIBS += -lcmocka
$(BIN)/dlnfp $(tests) $(slow) $(benches):
	@mkdir -p $(@D)
	$(call show,ld $@)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(LDLIBS) -o $@
$(BUILD)/%.o: %.c makefile
	@mkdir -p $(@D)
	$(call show,cc $<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# Packages of Debian 12. Nothing is asked of the network when all of them are there.
deps_build := make gcc libc6-dev pkg-config openmpi-bin libopenmpi-dev libpetsc-real-dev libslepc-real-dev libfftw3-dev \
              libgsl-dev libblas-dev liblapack-dev libjansson-dev libyaml-dev libhdf5-openmpi-dev
deps_test  := libcmocka-dev python3 python3-numpy python3-scipy python3-matplotlib python3-h5py python3-yaml \
              python3-ipykernel jupyter-core jupyter-nbconvert
deps_lint  := clang clang-format clang-tidy cppcheck libomp-dev
deps_all   := $(deps_build) $(deps_test) $(deps_lint)

deps:
	@if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then \
	  echo "This is no Debian. What dlnfp needs, by the names of Debian 12:"; echo "  $(deps_all)"; \
	  pkg-config --exists --print-errors $(PKGS) || exit 1; exit 0; fi; \
	missing=$$(for p in $(deps_all); do \
	  dpkg-query -W -f='$${db:Status-Abbrev}\n' $$p 2>/dev/null | grep -q '^.i' || echo $$p; done); \
	[ -n "$$missing" ] || exit 0; \
	sudo=; [ $$(id -u) = 0 ] || sudo=sudo; \
	if [ -n "$$sudo" ] && ! command -v sudo >/dev/null; then \
	  echo "Missing packages, to be installed by root:" $$missing; exit 1; fi; \
	echo "Installing" $$missing; \
	$$sudo apt-get update -q </dev/null && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
	  -o DPkg::Lock::Timeout=300 $$missing </dev/null

out/%/results.json: runs/%.yaml $(BIN)/dlnfp
	$(BIN)/dlnfp run $< -out out/$*

demo: deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	$(BIN)/dlnfp run runs/diabetes_chain2.yaml -out out/diabetes_chain2
	@$(MAKE) --no-print-directory notebooks notebooks='$(flagship)'
	@echo; echo "Numbers  out/diabetes_chain2/results.json (fields: results.h5, for ParaView: results.xdmf)"; \
	echo "Figures  out/figures"; ls out/figures | sed 's/^/         /'

notebooks: deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(MAKE) --no-print-directory $(notebook_runs)
	@mkdir -p out/figures
	@for n in $(notebooks); do echo "executing $$n"; PYDEVD_DISABLE_FILE_VALIDATION=1 \
	  /usr/bin/jupyter nbconvert --log-level WARN --to html --execute --output-dir out/figures $$n || exit 1; done

test: deps
	@$(MAKE) --no-print-directory -j$(JOBS) all $(tests)
	@$(MAKE) --no-print-directory $(if $(notebooks),$(notebook_runs))
	@tests/run.sh $(BUILD)/test-logs $(tests) $(wildcard tests/test_*.py) $(notebooks)

test-slow: deps
	@$(MAKE) --no-print-directory -j$(JOBS) all $(slow)
	@TEST_LIMIT=3600 tests/run.sh $(BUILD)/test-logs $(slow) $(wildcard tests/slow_*.py)

bench: deps
	@$(MAKE) --no-print-directory -j$(JOBS) all $(benches)
	@for b in $(benches); do echo "== $$(basename $$b)"; $$b || exit 1; done
	@for b in $(wildcard tests/bench_*.py); do echo "== $$(basename $$b)"; $(PYTHON) $$b || exit 1; done

# Open MPI leaks by itself, so leaks are not asked for. t-pairs and t-stable take ten minutes each there.
sanitized = $(patsubst $(BUILD)/%,build/asan/%,$(filter-out %/t-pairs %/t-stable,$(tests)))
sanitize: deps
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=build/asan BIN=build/asan/bin \
	  OPT='-O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' \
	  build/asan/bin/dlnfp $(sanitized)
	@DLNFP=build/asan/bin/dlnfp ASAN_OPTIONS=detect_leaks=0 tests/run.sh build/asan/test-logs $(sanitized)

lint: deps
	@for t in format gcc clang cppcheck tidy; do begin=$$SECONDS; \
	  $(MAKE) --no-print-directory lint-$$t || exit 1; echo "lint-$$t: $$((SECONDS - begin)) s"; done
lint-format:
	@clang-format --dry-run -Werror $(sources) $(headers)
lint-gcc:
	@printf '%s\n' $(sources) | xargs -P $(JOBS) -I{} $(CC) $(CPPFLAGS) $(CFLAGS) -Werror -fsyntax-only {}
lint-clang:
	@printf '%s\n' $(sources) | xargs -P $(JOBS) -I{} clang $(CPPFLAGS) $(MPIFLAGS) $(CFLAGS) -Werror -fsyntax-only {}
lint-cppcheck:
	@cppcheck -q -j $(JOBS) --std=c11 --enable=warning,performance,portability --inline-suppr --suppress=uninitvar \
	  --suppress=unknownMacro --suppress=arrayIndexOutOfBounds -Iinclude --error-exitcode=1 src tests
lint-tidy:
	@printf '%s\n' $(sources) | xargs -P $(JOBS) -I{} clang-tidy --quiet {} -- $(CPPFLAGS) $(MPIFLAGS) -std=gnu11 -fopenmp 2>/dev/null

$(BUILD)/libdlnfp.a: $(lib)
	rm -f $@
	$(AR) rcs $@ $^

# PREFIX, version and the packages' flags go into the man page and the pkg-config file when they are installed.
fill := sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' -e 's|@PKGS@|$(PKGS)|g'
root  = $(DESTDIR)$(PREFIX)
install: all $(BUILD)/libdlnfp.a
	install -d $(root)/bin $(root)/lib/pkgconfig $(root)/include/dlnfp $(root)/share/man/man1
	install -m 755 $(BIN)/dlnfp $(root)/bin/dlnfp
	install -m 644 $(BUILD)/libdlnfp.a $(root)/lib/libdlnfp.a
	install -m 644 include/*.h $(root)/include/dlnfp
	$(fill) src/dlnfp.pc.in > $(root)/lib/pkgconfig/dlnfp.pc
	$(fill) src/dlnfp.1 > $(root)/share/man/man1/dlnfp.1
uninstall:
	rm -f $(root)/bin/dlnfp $(root)/lib/libdlnfp.a $(root)/lib/pkgconfig/dlnfp.pc $(root)/share/man/man1/dlnfp.1
	rm -rf $(root)/include/dlnfp

clean:
	rm -rf $(BUILD) $(BIN)
