# vouchfs: `make help` tells the targets.
#
# Sources are found, not listed: every .c file of a layer's folder belongs to
# the layer, every tests/DIR/x.c is a program of its own (tests/README.md).

VERSION = 0.1.0
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
COMPDIR = $(PREFIX)/share/bash-completion/completions
# mount(8) looks for its helpers in /sbin and nowhere else.
SBINDIR = $(if $(filter /usr /usr/local,$(PREFIX)),/sbin,$(PREFIX)/sbin)

VARIANT = release
B = build/$(VARIANT)
LAYERS = base ledger index fs analytics
CC = gcc
CFLAGS = -O2 -g

warnings = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wvla -Wundef -Wpointer-arith \
	-Wwrite-strings -Wformat=2 -Wmissing-declarations
harden.release = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
harden.asan = -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
harden.tsan = -fsanitize=thread -fno-omit-frame-pointer
harden.fuzz = -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all -Wno-unknown-warning-option
ifeq ($(VARIANT),fuzz)
CC = clang
endif
# The sanitizers make the compiler guess wrong: warnings are errors without.
WERROR = $(if $(filter release,$(VARIANT)),$(filter true,$(CI)))
all_cflags = -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -iquote . -pthread \
	-DVOUCHFS_VERSION='"$(VERSION)"' -fPIE $(warnings) \
	$(if $(WERROR),-Werror) $(harden.$(VARIANT)) $(CFLAGS) $(CPPFLAGS) \
	$(DEPS_CFLAGS)
all_ldflags = -pie -pthread -Wl,-z,relro,-z,now,--as-needed \
	$(harden.$(VARIANT)) $(CFLAGS) $(LDFLAGS)
Q = $(if $(V),,@)
say = $(if $(V),,@echo '  $(1)	$(2)')

layer_libs = $(foreach l,$(LAYERS),$(B)/lib$(l).a)
# The linker wants the upper layers first.
link_libs = $(B)/libanalytics.a $(B)/libfs.a $(B)/libindex.a \
	$(B)/libledger.a $(B)/libbase.a
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
tool_objects := $(call objects,$(filter-out %/vouch-check.c %/vouch-git.c,$(wildcard mount-tools/*.c)))
sim_objects := $(call objects,$(wildcard tests/sim/*.c))
# T=WORD: only the tests whose path contains WORD.
chosen = $(if $(T),$(foreach f,$(1),$(if $(findstring $(T),$(f)),$(f))),$(1))
programs = $(patsubst %.c,$(B)/%,$(1))
units = $(call programs,$(call chosen,$(wildcard tests/unit/test_*.c)))
sweeps = $(call programs,$(call chosen,$(wildcard tests/sweep/*.c)))
stress = $(call programs,$(call chosen,$(wildcard tests/stress/*.c)))
fuzzers = $(call programs,$(call chosen,$(wildcard tests/fuzz/fuzz_*.c)))
benches = $(call programs,$(wildcard tests/bench/*.c))
helpers = $(call programs,$(wildcard tests/cli/*.c tests/mount/*.c)) \
	$(B)/tests/conform/conform $(B)/tests/twin/twin
scripts = $(call chosen,$(filter-out %lib.sh,$(wildcard tests/cli/*.sh tests/mount/*.sh)))
foreign = $(call chosen,$(filter-out %/lib.sh,$(wildcard tests/foreign/*.sh)))
binaries = $(addprefix $(B)/,$(patsubst mount-tools/%.c,%, \
	$(wildcard mount-tools/vouch.c mount-tools/vouch-check.c mount-tools/vouch-git.c)))
man_pages = $(wildcard man/*.[1-8])

all: $(layer_libs) $(binaries)	## build vouch and its helpers (the default)

# --- what is needed: asked for again whenever the system's packages change --

needs_nothing = help clean deps format uninstall
ifneq ($(filter-out $(needs_nothing),$(or $(MAKECMDGOALS),all)),)
include build/deps/build.mk
endif
build/deps/build.mk: .ci/deps.sh $(wildcard /var/lib/dpkg/status)
	$(Q).ci/deps.sh build $(filter check demo lint,$(MAKECMDGOALS))
build/deps/%.ok: .ci/deps.sh $(wildcard /var/lib/dpkg/status)
	$(Q).ci/deps.sh $*
deps:	## get what build, demo and check need (called by them)
	$(Q).ci/deps.sh build demo check

# --- compiling and linking ------------------------------------------------

# Changes when a flag changes, and everything depends on it.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(subst ','\'',$(all_cflags) $(all_ldflags))' | \
		cmp -s - $@ || printf '%s\n' \
		'$(CC) $(subst ','\'',$(all_cflags) $(all_ldflags))' >$@
$(B)/obj/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_cflags) -MMD -MP -c -o $@ $<
# What the loop gains by it: fs/content/chunker_scan.c.  Not every processor has it.
jumps := $(shell echo | $(CC) -Wa,-mbranches-within-32B-boundaries \
	-x assembler -c -o /dev/null - 2>/dev/null && \
	echo -Wa,-mbranches-within-32B-boundaries)
$(B)/obj/fs/content/chunker_scan.o: CFLAGS += $(jumps)
define layer_rule
$(B)/lib$(1).a: $$(call objects,$$(wildcard $(1)/*.c $(1)/*/*.c))
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rule,$(l))))
$(B)/libsim.a: $(sim_objects)
$(B)/lib%.a:
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcsD $@ $^

link = $(Q)$(CC) $(all_ldflags) -o $@ $(filter %.o %.a,$^)
$(B)/vouch: $(tool_objects) $(link_libs)
	$(call say,LD,$@)
	$(link) $(DEPS_LIBS)
$(B)/vouch-check: $(B)/obj/mount-tools/vouch-check.o $(B)/libledger.a $(B)/libbase.a
	$(call say,LD,$@)
	$(link) $(DEPS_LIBS_CHECK)
$(B)/vouch-git: $(B)/obj/mount-tools/vouch-git.o $(B)/libbase.a
	$(call say,LD,$@)
	$(link) $(DEPS_LIBS_GIT)

# Fewer LAYERS make a test of a lower layer independent of those above it.
test_libs = $(B)/libsim.a $(filter $(layer_libs),$(link_libs))
replay.release = $(B)/obj/tests/fuzz/replay.o
replay.asan = $(replay.release)
$(fuzzers): $(replay.$(VARIANT))
$(units): TEST_LIBS = $(shell pkg-config --libs criterion)
$(units) $(call objects,$(wildcard tests/unit/*.c)): | build/deps/check.ok
$(B)/tests/sweep/sweep_seq $(B)/tests/sweep/sweep_seq_fault: TEST_LIBS = -Wl,--wrap=sqlite3_open_v2,--wrap=sqlite3_close
$(B)/tests/sweep/alloc_%: TEST_LIBS = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
ifeq ($(VARIANT),fuzz)
$(fuzzers): TEST_LIBS = -fsanitize=fuzzer
endif
$(B)/tests/conform/conform: $(call objects,$(wildcard tests/conform/*.c))
$(B)/tests/twin/twin: $(call objects,$(wildcard tests/twin/*.c))
$(B)/tests/%: $(B)/obj/tests/%.o $(test_libs)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(DEPS_LIBS)

# --- testing --------------------------------------------------------------

run = tests/run.sh $(B)
tests: $(units) $(sweeps) $(fuzzers) $(if $(scripts),$(binaries) $(helpers))	## build the tests
check: tests | build/deps/check.ok	## run all tests; T=WORD runs some, J=N at once
	$(Q)$(run) $(units) $(sweeps) $(fuzzers) $(scripts)
nightly: tests	## the whole sweeps, and new seeds, MINUTES=60 for each part; T=WORD runs some
	$(Q)tests/nightly.sh $(B) $(T)
check-foreign: $(binaries) $(helpers) | build/deps/check.ok build/deps/foreign.ok	## other people's verifiers (Go, Python, network)
	$(Q)$(run) $(foreign)
check-cosign: $(binaries) | build/deps/check.ok	## cosign on our statements; builds it first, for ten minutes
	$(Q)TOP=$(CURDIR) bash -c '. tests/foreign/lib.sh && make_cosign'
	$(Q)$(run) tests/foreign/cosign.sh
check-asan:	## the tests under the address and undefined-behaviour sanitizers
	$(Q)$(MAKE) --no-print-directory VARIANT=asan CFLAGS='-O1 -g' check
check-tsan:	## the thread stress programs under the thread sanitizer
	$(Q)$(MAKE) --no-print-directory VARIANT=tsan CFLAGS='-O1 -g' check-stress
check-stress: $(stress) | build/deps/check.ok
	$(Q)$(run) $(stress)
fuzz: build/deps/fuzz.ok	## fuzz every parser for SECONDS=60
	$(Q)$(MAKE) --no-print-directory VARIANT=fuzz CFLAGS='-O1 -g' fuzzers
	$(Q)tests/fuzz.sh build/fuzz $(or $(SECONDS),60) $(T)
fuzzers: $(fuzzers)
bench: $(binaries) $(benches) | build/deps/check.ok	## measure, beside yardsticks; QUICK=1, T=SCRIPT, W=ROW
	$(Q).ci/deps.sh bench || echo 'without gocryptfs, then'
	$(Q)tests/bench.sh $(B) $(T)
demo: $(binaries) | build/deps/demo.ok	## show the main job on real input
	$(Q)PATH="$(CURDIR)/$(B):$$PATH" tests/demo.sh
lint: build/deps/lint.ok $(layer_libs) $(binaries)	## layers, symbols, banned calls, pages, format
	$(Q)tests/lint.sh $(B)
format:	## let clang-format lay out all sources
	clang-format-14 -i $$(git ls-files '*.c' '*.h')

# --- installing -----------------------------------------------------------

D = $(DESTDIR)
install: $(layer_libs) $(binaries)	## install below DESTDIR and PREFIX
	install -D -m 755 $(B)/vouch $(D)$(BINDIR)/vouch
	install -D -m 755 $(B)/vouch-check $(D)$(BINDIR)/vouch-check
	install -D -m 755 $(B)/vouch-git $(D)$(BINDIR)/vouch-git
	install -d $(D)$(SBINDIR)
	ln -sf $(BINDIR)/vouch $(D)$(SBINDIR)/mount.fuse.vouchfs
	ln -sf $(BINDIR)/vouch $(D)$(SBINDIR)/umount.fuse.vouchfs
	install -D -m 644 mount-tools/completion.bash $(D)$(COMPDIR)/vouch
	$(foreach p,$(man_pages),install -D -m 644 $(p) \
		$(D)$(MANDIR)/man$(subst .,,$(suffix $(p)))/$(notdir $(p)) &&) :
uninstall:	## remove what install installed
	rm -f $(D)$(BINDIR)/vouch $(D)$(BINDIR)/vouch-check $(D)$(BINDIR)/vouch-git $(D)$(COMPDIR)/vouch \
		$(D)$(SBINDIR)/mount.fuse.vouchfs $(D)$(SBINDIR)/umount.fuse.vouchfs \
		$(foreach p,$(man_pages),$(D)$(MANDIR)/man$(subst .,,$(suffix $(p)))/$(notdir $(p)))
clean:	## remove all that was built, except what `deps` got
	rm -rf build/release build/asan build/tsan build/fuzz build/lint
help:	## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile
	@echo 'V=1 shows the commands, WERROR=1 makes warnings errors,' \
		'CFLAGS= and DESTDIR= PREFIX= as usual.'

.PHONY: all deps tests check nightly check-foreign check-cosign check-asan check-tsan check-stress \
	fuzz fuzzers bench demo lint format install uninstall clean help FORCE
.SECONDARY:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# All processors, unless -j says otherwise; `make clean all` keeps its order.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS))$(filter clean,$(MAKECMDGOALS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
