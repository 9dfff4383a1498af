# cairn: build, test and install. `make help` lists the targets.
#
# Sources are found by wildcard, libraries by pkg-config: a new file needs no edit here.
# Each BUILD has an output folder of its own, so changing BUILD never mixes objects.
#   BUILD=release (default) | debug | asan | tsan | fuzz | cov
#   OUT=folder    build somewhere else     WERROR=1 (or CI=true)   warnings are errors
#   CC=clang      another compiler         V=1                     show the commands

BUILD  ?= release
OUT    ?= build/$(BUILD)
PREFIX ?= /usr/local
PYTHON ?= /usr/bin/python3
PKGCFG ?= pkg-config
V      ?= 0
VERSION := $(shell cat VERSION)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
ifeq ($(MAKELEVEL)$(filter -j% --jobserver%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
ifeq ($(V),0)
Q    := @
say   = @printf '  %-5s %s\n' $(1) '$(2)';
else
Q    :=
say   =
endif

# --- compiler and flags ---------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(BUILD)),clang,gcc)
endif
AR ?= ar

PKGS      := libuv jansson yaml-0.1 sqlite3 libzstd libxxhash libcurl
TEST_PKGS := cmocka
PKG_CFLAGS  := $(shell $(PKGCFG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS    := $(shell $(PKGCFG) --libs $(PKGS) 2>/dev/null) -lm -lpthread
TEST_CFLAGS  = $(shell $(PKGCFG) --cflags $(TEST_PKGS) 2>/dev/null)
TEST_LIBS    = $(shell $(PKGCFG) --libs $(TEST_PKGS) 2>/dev/null)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wformat=2 -Wvla \
        -Wstrict-prototypes -Wmissing-prototypes -Wmissing-declarations -Wold-style-definition \
        -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -Wundef -Wpointer-arith \
        -Wcast-align -Wwrite-strings -Wnested-externs -Wredundant-decls \
        -Wdouble-promotion
ifneq (,$(filter 1 true yes,$(WERROR) $(CI)))
WARN += -Werror
endif

# ASSERT stays on in every build: NDEBUG is never defined.
OPT_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fno-plt
OPT_debug   := -O0 -g3
OPT_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
               -fno-sanitize-recover=all -Wno-null-dereference
OPT_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -Wno-null-dereference
OPT_fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
               -fno-sanitize-recover=all -DCAIRN_FUZZ=1 -Wno-null-dereference
OPT_cov     := -O0 -g --coverage -fprofile-update=atomic
LD_release  := -Wl,-z,relro
LD_asan     := -fsanitize=address,undefined
LD_tsan     := -fsanitize=thread
LD_fuzz     := -fsanitize=fuzzer-no-link,address,undefined
LD_cov      := --coverage
ifeq (,$(OPT_$(BUILD)))
$(error BUILD=$(BUILD) is none of release debug asan tsan fuzz cov)
endif

CFLAGS  ?=
LDFLAGS ?=
STD      := -std=gnu17 -D_GNU_SOURCE -Isrc -Iinclude -DCAIRN_VERSION='"$(VERSION)"' -DCAIRN_BUILD='"$(BUILD)"'
COMPILE   = $(CC) $(STD) $(WARN) $(OPT_$(BUILD)) $(PKG_CFLAGS) $(CFLAGS)
LINK      = $(CC) $(OPT_$(BUILD)) $(LD_$(BUILD)) $(LDFLAGS) -Wl,--as-needed

# --- what is there to build -----------------------------------------------------------------

SRC       := $(sort $(wildcard src/*/*.c src/*/*/*.c))
CLI_SRC   := $(filter src/cli/%,$(SRC))
LIB_SRC   := $(filter-out src/cli/%,$(SRC))
SUP_SRC   := $(sort $(wildcard tests/support/*.c))
UNITS     := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard tests/unit/*/*.c)))))
STORE_SRC := $(sort $(wildcard tests/store/*.c))
SIM_SRC   := $(sort $(wildcard tests/sim/*.c))
FAIL_SRC  := $(sort $(wildcard tests/fail/*.c))
CASES_SRC := $(sort $(wildcard tests/engine-cases/*.c))
LOAD_SRC  := $(sort $(wildcard tests/load/*.c))
# Sources with planted bugs (base/mutant.h), and what shows that the simulator finds them.
MUT_SRC   := $(shell grep -ls 'include "base/mutant.h"' $(SRC)) $(sort $(wildcard tests/mutants/*.c))
BENCH_SRC := $(sort $(wildcard bench/*.c))
BENCHSUP  := $(sort $(wildcard bench/support/*.c))
FUZZ_SRC  := $(sort $(wildcard fuzz/*.c))
FUZZSUP   := $(sort $(wildcard fuzz/support/*.c))

# A comma inside an argument of a function.
, := ,
objs = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
LIB  := $(OUT)/libcairn.a
SUP  := $(if $(SUP_SRC),$(OUT)/tests/libsupport.a)

UNIT_BIN  := $(UNITS:%=$(OUT)/tests/unit-%)
STORE_BIN := $(if $(STORE_SRC),$(OUT)/tests/store-suite)
SIM_BIN   := $(if $(SIM_SRC),$(OUT)/tests/sim)
MUT_BIN   := $(if $(SIM_SRC),$(OUT)/tests/sim-mutants)
FAIL_BIN  := $(if $(FAIL_SRC),$(OUT)/tests/fail)
SHIM      := $(if $(FAIL_SRC),$(OUT)/tests/fail-shim.so)
CASES_BIN := $(if $(CASES_SRC),$(OUT)/cairn-engine-cases)
LOAD_BIN  := $(if $(LOAD_SRC),$(OUT)/tests/load)
BENCH_BIN := $(BENCH_SRC:bench/%.c=$(OUT)/bench/%)
FUZZ_BIN  := $(FUZZ_SRC:fuzz/%.c=$(OUT)/fuzz/%)
CLI_BIN   := $(if $(CLI_SRC),$(OUT)/cairn)
TEST_BIN  := $(UNIT_BIN) $(STORE_BIN) $(SIM_BIN) $(MUT_BIN) $(FAIL_BIN) $(CASES_BIN) $(LOAD_BIN)

.PHONY: all binary tests benches fuzzers run test tidy format bench install check-all coverage
.PHONY: bench-counts bench-compare bench-peers fresh-check clean help libs-present force

ifeq ($(BUILD),fuzz)
all: fuzzers
else
all: binary $(if $(TEST_LIBS),$(CASES_BIN))
endif
binary: $(LIB) $(CLI_BIN)
tests: binary $(TEST_BIN) $(SHIM)
benches: binary $(BENCH_BIN)
fuzzers: $(FUZZ_BIN)

# --- rules ----------------------------------------------------------------------------------

# Holds the full compile line; rewritten only when that changes, so other flags mean a rebuild.
$(OUT)/flags: force
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(COMPILE) $(LINK))' | cmp -s - $@ || \
	    printf '%s\n' '$(subst ','\'',$(COMPILE) $(LINK))' > $@

libs-present:
	@command -v $(CC) >/dev/null || { echo "$(CC) is missing: run tools/setup" >&2; exit 1; }
	@command -v $(PKGCFG) >/dev/null || { echo "$(PKGCFG) is missing: run tools/setup" >&2; exit 1; }
	@$(PKGCFG) --exists --print-errors $(PKGS) || { echo "run tools/setup" >&2; exit 1; }

$(OUT)/obj/src/%.o: src/%.c $(OUT)/flags | libs-present
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) -MMD -MP -c -o $@ $<

$(OUT)/obj/tests/%.o: tests/%.c $(OUT)/flags | libs-present
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) $(TEST_CFLAGS) -Itests -MMD -MP -c -o $@ $<

$(OUT)/mutants/%.o: %.c $(OUT)/flags | libs-present
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) -DCAIRN_MUTANTS=1 -Itests -MMD -MP -c -o $@ $<

$(OUT)/obj/bench/%.o: bench/%.c $(OUT)/flags | libs-present
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) -Ibench -MMD -MP -c -o $@ $<

$(OUT)/obj/fuzz/%.o: fuzz/%.c $(OUT)/flags | libs-present
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) -Ifuzz -Itests -MMD -MP -c -o $@ $<

# The list of members is kept beside the archive, so a deleted source leaves it too.
define archive
$(1): $$(call objs,$(2)) $(1).list
	$$(call say,AR,$$@)rm -f $$@ && $(AR) rcs $$@ $$(filter %.o,$$^)
$(1).list: force
	@mkdir -p $$(@D)
	@echo '$(2)' | cmp -s - $$@ || echo '$(2)' > $$@
endef
$(eval $(call archive,$(LIB),$(LIB_SRC)))
$(if $(SUP),$(eval $(call archive,$(SUP),$(SUP_SRC))))

# $(call program,target,sources,archives,libraries)
define program
$(1): $$(call objs,$(2)) $(3) $(OUT)/flags
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)$$(LINK) -o $$@ $$(filter %.o,$$^) $(3) $(4) $(PKG_LIBS)
endef
$(if $(CLI_BIN),$(eval $(call program,$(CLI_BIN),$(CLI_SRC),$(LIB),)))
$(foreach u,$(UNITS),$(eval $(call program,$(OUT)/tests/unit-$(u),$(sort $(wildcard \
    tests/unit/$(u)/*.c)),$(SUP) $(LIB),$$(TEST_LIBS))))
$(if $(STORE_BIN),$(eval $(call program,$(STORE_BIN),$(STORE_SRC),$(SUP) $(LIB),$$(TEST_LIBS))))
$(if $(SIM_BIN),$(eval $(call program,$(SIM_BIN),$(SIM_SRC),$(SUP) $(LIB),$$(TEST_LIBS))))
# The same simulator around sources in which bugs can be switched on; the archive has the rest.
MUT_OBJ := $(MUT_SRC:%.c=$(OUT)/mutants/%.o) $(call objs,$(filter-out %/main.c,$(SIM_SRC)))
$(MUT_BIN): $(MUT_OBJ) $(LIB) $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) -o $@ $(filter %.o,$^) $(LIB) $(PKG_LIBS)
# Its allocations are failed: see tests/fail/alloc.c.
WRAPPED := malloc calloc realloc free strdup
# Preloaded into the real binary, so no sanitizer is in it.
$(SHIM): tests/fail/shim/shim.c
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -std=gnu17 -O1 -g -fPIC -shared -Wall -Wextra -o $@ $< -ldl
$(if $(FAIL_BIN),$(eval $(call program,$(FAIL_BIN),$(FAIL_SRC),$(LIB),$(WRAPPED:%=-Wl$(,)--wrap=%))))
$(if $(CASES_BIN),$(eval $(call program,$(CASES_BIN),$(CASES_SRC),$(SUP) $(LIB),$$(TEST_LIBS))))
$(if $(LOAD_BIN),$(eval $(call program,$(LOAD_BIN),$(LOAD_SRC),$(LIB),)))
$(foreach b,$(BENCH_SRC),$(eval $(call program,$(OUT)/bench/$(b:bench/%.c=%),$(b) $(BENCHSUP),$(LIB),)))
$(foreach f,$(FUZZ_SRC),$(eval $(call program,$(OUT)/fuzz/$(f:fuzz/%.c=%),$(f) $(FUZZSUP),$(LIB),\
    -fsanitize=fuzzer,address,undefined)))

-include $(patsubst %.o,%.d,$(call objs,$(SRC) $(SUP_SRC) $(STORE_SRC) $(SIM_SRC) $(FAIL_SRC) $(CASES_SRC) \
    $(LOAD_SRC) $(BENCH_SRC) $(BENCHSUP) $(FUZZ_SRC) $(FUZZSUP) $(wildcard tests/unit/*/*.c)) \
    $(MUT_SRC:%.c=$(OUT)/mutants/%.o))

# --- what people call -----------------------------------------------------------------------

run:
	$(Q)tools/setup run
	+$(Q)$(MAKE) --no-print-directory binary
	$(Q)tools/run-example $(OUT)/cairn

test:
	$(Q)tools/setup test
	+$(Q)$(MAKE) --no-print-directory tests
	$(Q)PYTHON=$(PYTHON) tools/run-tests --out $(OUT) $(TEST_ARGS)

bench:
	$(Q)tools/setup run
	+$(Q)$(MAKE) --no-print-directory benches
	$(Q)tools/run-bench $(OUT) $(BENCH_ARGS)

# Instructions per step, by valgrind: no noise.
bench-counts:
	$(Q)tools/setup run
	+$(Q)$(MAKE) --no-print-directory binary
	$(Q)tools/bench-counts $(OUT)

# Against another revision, both measured now: make bench-compare BASE=v1.0
bench-compare:
	$(Q)tools/setup run
	$(Q)tools/bench-compare $(BASE) $(BENCH_ARGS)

# Beside other engines, which npm installs into build/peers: make bench-peers PEERS='dbos restate'
bench-peers:
	$(Q)tools/setup run
	+$(Q)$(MAKE) --no-print-directory benches
	$(Q)tools/bench-peers $(OUT) $(PEERS)

tidy:
	+$(Q)tools/tidy

format:
	$(Q)command -v clang-format >/dev/null || { echo 'clang-format is missing: tools/setup dev' >&2; exit 2; }
	$(Q)find src include tests bench fuzz -name '*.[ch]' 2>/dev/null | xargs -r clang-format -i

check-all:
	+$(Q)tools/check-all

coverage:
	+$(Q)SIM_ARGS="$${SIM_ARGS:---seeds 300}" $(MAKE) --no-print-directory BUILD=cov test
	$(Q)$(PYTHON) tools/coverage build/cov

fresh-check:
	$(Q)tools/fresh-check

# The library as others link it: one object in which only cairn_* is visible, so that no name of ours
# meets one of theirs.
$(OUT)/install/libcairn.a: $(LIB)
	$(call say,LIB,$@)mkdir -p $(@D) && rm -f $@
	$(Q)$(LD) -r -o $(@D)/cairn.o --whole-archive $(LIB)
	$(Q)objcopy --wildcard --keep-global-symbol='cairn_*' $(@D)/cairn.o
	$(Q)$(AR) rcs $@ $(@D)/cairn.o

install: binary $(OUT)/install/libcairn.a
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/include' '$(DESTDIR)$(PREFIX)/lib'
	install -d '$(DESTDIR)$(PREFIX)/share/doc/cairn'
	install -m 755 $(OUT)/cairn '$(DESTDIR)$(PREFIX)/bin/cairn'
	install -m 644 include/cairn.h '$(DESTDIR)$(PREFIX)/include/cairn.h'
	install -m 644 $(OUT)/install/libcairn.a '$(DESTDIR)$(PREFIX)/lib/libcairn.a'
	install -m 644 README.md LICENSE '$(DESTDIR)$(PREFIX)/share/doc/cairn/'
	$(Q)set -e; cd $(OUT)/install; ../cairn man > cairn.1; \
	for shell in bash zsh fish; do ../cairn completion $$shell > cairn.$$shell; done
	install -D -m 644 $(OUT)/install/cairn.1 '$(DESTDIR)$(PREFIX)/share/man/man1/cairn.1'
	install -D -m 644 $(OUT)/install/cairn.bash \
	    '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/cairn'
	install -D -m 644 $(OUT)/install/cairn.zsh '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_cairn'
	install -D -m 644 $(OUT)/install/cairn.fish \
	    '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/cairn.fish'

clean:
	rm -rf build

help:
	@echo 'make              build/release/cairn and libcairn.a'
	@echo 'make run          set up what is missing, build, run examples/triage.yaml'
	@echo 'make test         set up, build, run every test; the last line counts them'
	@echo 'make bench        build and run the benchmarks'
	@echo 'make bench-counts instructions per step of engine, resolver and store, when valgrind is there'
	@echo 'make bench-compare BASE=rev   the same beside those of another revision'
	@echo 'make bench-peers  the same works by other engines, which npm installs (node 20 or newer)'
	@echo 'make tidy         layers, sizes, formatting, unused functions, warnings as errors'
	@echo 'make format       reformat every source with clang-format'
	@echo 'make check-all    all tests under ASan+UBSan and TSan, fuzzing, long simulation; tools/check-all asan: a part'
	@echo 'make coverage     lines and branches that the tests reach; too few of them fail'
	@echo 'make fresh-check  make run and make test in a bare Debian (root, debootstrap)'
	@echo 'make install      DESTDIR= PREFIX=$(PREFIX): binary, header, library, completions, man page'
	@echo 'make clean        remove build/'
	@echo 'BUILD=release|debug|asan|tsan|fuzz|cov  OUT=folder  WERROR=1  CC=clang  V=1'
