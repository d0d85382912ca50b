# make            build bin/dlnfp          make demo    the flagship run, with its figures
# make test       every test               make lint    format and static checks
# make bench      timings beside SciPy     make install PREFIX=/usr/local
SHELL        := /bin/bash
PREFIX       ?= /usr/local
PYTHON       := /usr/bin/python3
PKGS         := PETSc SLEPc fftw3 gsl jansson yaml-0.1 hdf5-openmpi
CC           := mpicc
OPT          ?= -O2 -ftree-vectorize -fno-math-errno -fno-trapping-math
CFLAGS       := -std=gnu11 -g $(OPT) -fopenmp -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(CFLAGS_EXTRA)
CPPFLAGS      = -Iinclude $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS) 2>/dev/null))
LDLIBS        = $(shell pkg-config --libs $(PKGS)) -lm
BUILD        := build
BIN          := bin
lib          := $(patsubst %.c,$(BUILD)/%.o,$(filter-out src/main.c,$(wildcard src/*/*.c)))
tests        := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/t-*.c))
benches      := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench-*.c))

export OMPI_ALLOW_RUN_AS_ROOT=1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMP_NUM_THREADS ?= 2

.PHONY: all deps demo test test-slow bench lint install clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BIN)/dlnfp

$(BIN)/dlnfp: $(BUILD)/src/main.o $(lib)
$(tests) $(benches): %: %.o $(lib)
$(tests) $(benches): LDLIBS += -lcmocka
$(BIN)/dlnfp $(tests) $(benches):
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(LDLIBS) -o $@
$(BUILD)/%.o: %.c makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

clean:
	rm -rf $(BUILD) $(BIN)
