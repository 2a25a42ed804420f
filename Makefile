# SPDX-License-Identifier: Apache-2.0
# nova-snapshot-agent. `make help` lists the targets.
NAME := nova-snapshot-agent
TOOL := nova-snapshot
RECOVER := $(TOOL)-domain-recover
VERSION := 0.1.0
CC := gcc
SAN ?=
BUILD ?= build$(if $(SAN),/$(SAN))
LAB ?= $(shell tests/lab/folder)
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR ?= $(PREFIX)/lib/systemd/system
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
EXAMPLEDIR ?= $(SYSCONFDIR)/nova
CFLAGS ?= -O2 -g
Q := $(if $(V),,@)

MODULES := common conf amqp driver glance_client cinder_client control agent
# The oldest that will do; 'make check-oldest' builds as if these were here. Ceph's are headers alone.
DEPS := 'libvirt >= 8.0.0' 'libnbd >= 1.10' 'librabbitmq >= 0.10.0' 'jansson >= 2.13' 'libcurl >= 7.76.0' \
	'libmicrohttpd >= 0.9.72' 'libxml-2.0 >= 2.9.10' 'libcrypto >= 3.0.0' libssl 'libsystemd >= 247' \
	'libseccomp >= 2.5.2' uuid
TEST_DEPS := cmocka

try = $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo $(1))
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wredundant-decls -Wpointer-arith -Wwrite-strings -Wcast-qual \
	-Wbad-function-cast -Wvla -Wundef -Wformat=2 -Wnull-dereference -Wimplicit-fallthrough \
	-Wswitch-enum -Wdouble-promotion -Wconversion -Wno-sign-conversion -Wdate-time \
	-Wunused-macros -Wmissing-noreturn -Wfloat-equal \
	$(call try,-Wformat-signedness) $(call try,-Wduplicated-cond) $(call try,-Wduplicated-branches) \
	$(call try,-Wlogical-op) $(call try,-Wjump-misses-init) $(call try,-Wrestrict) \
	$(call try,-Wcast-align=strict) $(call try,-Walloca) $(call try,-Wstack-usage=65536) \
	$(call try,-Wcomma) $(call try,-Wunreachable-code) \
	-Werror=implicit-function-declaration -Werror=int-conversion \
	-Werror=incompatible-pointer-types -Werror=return-type -Werror=format=2 \
	$(if $(WERROR),-Werror)

# Below gcc 12 glibc warns of 3, when one of its headers is read.
fortify = $(if $(call try,-O2 -include features.h -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3),3,2)
HARDEN := -fstack-protector-strong -fno-common -fno-strict-aliasing -fvisibility=hidden -fPIE \
	$(call try,-fstack-clash-protection) $(call try,-fcf-protection=full) \
	$(if $(SAN),-U_FORTIFY_SOURCE,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(fortify))
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,defs -Wl,--as-needed
san_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
san_tsan := -O1 -fsanitize=thread
san_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZE := $(san_$(SAN))
ifneq ($(SAN),)
LDHARDEN := -pie
endif

CPPFLAGS_ALL := -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -I. -I$(BUILD) $(CPPFLAGS)
# Quiet here: 'make demo' and 'make check' install what is missing. Building asks again, below.
pkg_config = $(shell pkg-config $(1) 2>/dev/null)
CFLAGS_ALL := -std=gnu17 $(WARN) $(CFLAGS) $(HARDEN) $(SANITIZE) $(call pkg_config,--cflags $(DEPS))
LDLIBS_ALL := $(call pkg_config,--libs $(DEPS)) -pthread
# cmocka 2 deprecates what cmocka 1 has alone.
TEST_CFLAGS := $(call pkg_config,--cflags $(TEST_DEPS)) -Wno-missing-prototypes -Wno-deprecated-declarations
TEST_LDLIBS := $(call pkg_config,--libs $(TEST_DEPS))
# They are many, and each is linked with most of the agent: gold takes half the time.
TEST_LDFLAGS := $(if $(shell command -v ld.gold),-fuse-ld=gold)

ROOMS := $(MODULES) $(patsubst %/,%,$(wildcard driver/*/ agent/*/))
SRC := $(wildcard $(addsuffix /*.c,$(ROOMS)))
OBJ := $(SRC:%.c=$(BUILD)/%.o)
TOOL_SRC := $(wildcard tool/*.c domain/*.c)
TOOL_OBJ := $(TOOL_SRC:%.c=$(BUILD)/%.o)
objects_of = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)/*.c))
module_objects = $(filter $(BUILD)/$(1)/%,$(OBJ) $(filter-out %/main.o,$(TOOL_OBJ)))

# What a module stands on; the agent's tests are linked with all.
below_domain := driver common
below_tool := domain $(below_domain)
below = $(or $(below_$(1)),common)
with_below = $(sort $(foreach module,$(1) $(call below,$(1)),$(call module_objects,$(module))))

# A unit test in tests/unit/<module>/ is linked with that module and what it stands on.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
TEST_SRC := $(wildcard $(addsuffix /test_*.c,$(addprefix tests/unit/,$(ROOMS) domain tool))) $(FUZZ_SRC)
TEST_BIN := $(TEST_SRC:%.c=$(BUILD)/%)
TEST_SUPPORT := $(call objects_of,tests/unit)
# What integration tests run.
PROBE_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard $(addsuffix /*.c,$(addprefix tests/integration/,driver amqp agent))))

.DELETE_ON_ERROR:
.SUFFIXES:
.PRECIOUS: $(BUILD)/%.o
.PHONY: all
all: $(BUILD)/$(NAME) $(BUILD)/$(TOOL)

$(BUILD)/$(NAME): $(OBJ)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDHARDEN) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

$(BUILD)/$(TOOL): $(BUILD)/tool/main.o $(call with_below,tool)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDHARDEN) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

compile = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(if $(filter tests/%,$(1)),$(TEST_CFLAGS)) -c -o $(BUILD)/$(1:.c=.o) $(1)

$(BUILD)/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(call compile,$<) -MMD -MP

# Everything is built again when compiler or flags change.
$(BUILD)/.flags: FORCE
	@pkg-config --exists --print-errors $(DEPS) || { echo 'what will do is in docs/compatibility.md'; exit 1; }
	@mkdir -p $(@D)
	@new=$@.$$$$; echo '$(CC) $(subst ','\'',$(CPPFLAGS_ALL)) $(CFLAGS_ALL)' >$$new; \
	if cmp -s $$new $@; then rm $$new; else mv $$new $@; fi
FORCE:

# A test replaces a function f for all that is linked with it: by the __wrap_f in its object.
wraps = $$(nm --defined-only $(1) | sed -n 's/.* T __wrap_/-Wl,--wrap=/p')
agent_objects = $(filter-out $(BUILD)/agent/main.o,$(OBJ))
define unit_test
$(BUILD)/tests/unit/$(1)/%: $(BUILD)/tests/unit/$(1)/%.o $(TEST_SUPPORT) \
		$(if $(filter agent,$(1)),$(agent_objects),$(call with_below,$(1)))
	@echo "  LD    $$@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDHARDEN) $(TEST_LDFLAGS) $(LDFLAGS) -o $$@ $$^ $$(call wraps,$$<) \
		$(LDLIBS_ALL) $(TEST_LDLIBS)
endef
$(foreach module,$(MODULES) domain tool,$(eval $(call unit_test,$(module))))

# What reads text from outside: given its kept corpus as a unit test, or by libFuzzer what it thinks of.
FUZZ_MAIN := $(if $(filter fuzz,$(SAN)),,$(BUILD)/tests/fuzz/replay.o)
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_MAIN) $(agent_objects)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(if $(FUZZ_MAIN),$(TEST_LDFLAGS),-fsanitize=fuzzer) $(LDHARDEN) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

# A program an integration test runs, tests/integration/<module>/x.c: with that module and common.
define integration_program
$(BUILD)/tests/integration/$(1)/%: $(BUILD)/tests/integration/$(1)/%.o \
		$(sort $(call module_objects,common) $(call module_objects,$(1)))
	@echo "  LD    $$@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDHARDEN) $(LDFLAGS) -o $$@ $$^ $(LDLIBS_ALL)
endef
$(foreach module,driver amqp,$(eval $(call integration_program,$(module))))

$(BUILD)/tests/integration/agent/%: $(BUILD)/tests/integration/agent/%.o $(agent_objects)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDHARDEN) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

.PHONY: test-programs objects check-unit check-asan check-valgrind
test-programs: $(TEST_BIN) $(PROBE_BIN)

# All that is compiled, for those who want a compiler's opinion alone.
objects: $(sort $(OBJ) $(TOOL_OBJ) $(TEST_SUPPORT) $(addsuffix .o,$(TEST_BIN) $(PROBE_BIN)))

# TESTS chooses some of them: part of a program's name, or a pattern of its path such as 'driver/*'.
named = $(if $(findstring /,$(TESTS)),$(TESTS) $(TESTS)/*,*/test_*$(TESTS)* */*/test_*$(TESTS)* ../fuzz/fuzz_*$(TESTS)*)
CHOSEN := $(patsubst %.c,$(BUILD)/%,$(filter $(TEST_SRC),\
	$(subst unit/../,,$(wildcard $(patsubst %,tests/unit/%.c,$(named))))))
chosen = $(or $(CHOSEN),$(error no unit test fits TESTS=$(TESTS)))

check-unit: $(CHOSEN)
	$(Q)tests/run-unit $(chosen)

check-asan:
	$(Q)$(MAKE) --no-print-directory SAN=asan check-unit

# As if the libraries were the oldest that will do: newer names cannot be used, guards are off.
OLDEST := build/oldest/libraries.h
.PHONY: check-oldest objects-oldest
check-oldest: oldest_goals := all check-unit
objects-oldest: oldest_goals := objects
check-oldest objects-oldest:
	@mkdir -p $(dir $(OLDEST))
	$(Q)tests/oldest-libraries $(DEPS) >$(OLDEST).new
	$(Q)cmp -s $(OLDEST).new $(OLDEST) || mv $(OLDEST).new $(OLDEST)
	$(Q)$(MAKE) --no-print-directory BUILD=build/oldest CPPFLAGS='$(CPPFLAGS) -include $(OLDEST)' $(oldest_goals)

check-valgrind: $(CHOSEN)
	$(Q)TEST_TIMEOUT_S=900 WRAP='valgrind -q --leak-check=full --errors-for-leak-kinds=definite --track-fds=no --error-exitcode=99 --suppressions=tests/valgrind.supp' tests/run-unit $(chosen)

# New inputs stay in build/fuzz-corpus; one that is worth it goes to tests/fuzz/corpus.
FUZZ_SECONDS ?= 300
FUZZ_BIN := $(FUZZ_SRC:%.c=$(BUILD)/%)
.PHONY: fuzz fuzz-programs
fuzz-programs: $(FUZZ_BIN)
fuzz:
	$(Q)$(MAKE) --no-print-directory CC=clang SAN=fuzz fuzz-programs
	$(Q)tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ_BIN:$(BUILD)/%=build/fuzz/%)

.PHONY: check-put-back check-disks
# 'make check' tries the hardest of these.
check-put-back:
	$(Q)PUT_BACK=all tests/run-integration tests/integration/test_put_back.py
check-disks: test-programs
	$(Q)tests/lab/guest --download
	$(Q)KINDS=all tests/integration/lib/own_libvirtd tests/run-integration tests/integration/test_matrix.sh

# Compilers and libraries of other releases of Debian, BUILDS="trixie:gcc-14 sid:clang".
.PHONY: build-check
build-check:
	$(Q)tests/build-check

# The bus against the RabbitMQ of other releases of Debian, BROKERS="bookworm trixie sid".
.PHONY: broker-check
broker-check:
	$(Q)tests/broker-check

# The libvirt driver with each kind of daemon of releases of Debian, LIBVIRTS="bookworm trixie".
.PHONY: libvirt-check
libvirt-check:
	$(Q)tests/libvirt-check

# Build, unit tests, lab and what is seen in it on another release of Debian, RELEASE=trixie; FORM=short, a part
# of 'make check': in 15 minutes, FORM=domain: checkpoints of bare domains.
.PHONY: release-check
release-check:
	$(Q)RELEASE=$(RELEASE) FORM=$(FORM) tests/release-check

# In the lab that is up: what depends on how a disk is read, for the ways that are not the default.
METHODS ?= blockcopy stream
.PHONY: methods-check
methods-check: $(BUILD)/$(NAME)
	$(Q)for method in $(METHODS); do LIVE_SNAPSHOT_METHOD=$$method tests/run-integration \
		tests/integration/test_snapshot.py tests/integration/test_stock.py tests/integration/test_faults.py || exit; done

# Checkpoints of bare domains with all their matrix and kills; 'make check' has images and virsh alone.
.PHONY: domain-check
domain-check:
	$(Q)tests/domain-check

# Many agents on one broker of their own; the table is a page of the documents.
.PHONY: scale
scale: $(BUILD)/$(NAME)
	$(Q)tests/scale/run --output docs/scale.txt

.PHONY: lint check demo chaos chaos-short soak bench bench-quick lab-up lab-down lab-status
lint: $(BUILD)/conf-doc $(BUILD)/tool-doc
	$(Q)BUILD=$(BUILD) tests/lint

check:
	$(Q)tests/check

demo:
	$(Q)LAB=$(LAB) tests/demo

# The agent killed, its peers and the host failing: in the lab that is up.
chaos chaos-short: chaos%: $(BUILD)/$(NAME)
	$(Q)LAB=$(LAB) tests/chaos/run $(if $(filter -short,$*),--short)

soak: $(BUILD)/$(NAME)
	$(Q)LAB=$(LAB) tests/chaos/soak

# Against the stock nova-compute, in the lab that is up.
bench bench-quick: bench%: $(BUILD)/$(NAME)
	$(Q)LAB=$(LAB) tests/bench/run $(if $(filter -quick,$*),--quick)

lab-up:
	$(Q)LAB=$(LAB) tests/lab/up && LAB=$(LAB) tests/lab/guest

lab-down lab-status: lab-%:
	$(Q)LAB=$(LAB) tests/lab/$*

# The tool's man page and completion come from its table of commands.
$(BUILD)/tool-doc: $(BUILD)/tool/doc/doc.o $(call with_below,tool)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDHARDEN) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

$(BUILD)/$(TOOL).1: docs/$(TOOL).1.in $(BUILD)/tool-doc
	$(Q)$(BUILD)/tool-doc man | sed -e 's/@VERSION@/$(VERSION)/' -e '/^@COMMANDS@$$/{r /dev/stdin' -e 'd}' $< >$@

$(BUILD)/$(TOOL).bash: $(BUILD)/tool-doc
	$(Q)$< completion >$@

# The sample file and the man page come from the option table.
$(BUILD)/conf-doc: $(BUILD)/conf/tool/doc.o $(filter-out $(BUILD)/agent/%,$(call module_objects,common) $(call module_objects,conf))
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDHARDEN) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

$(BUILD)/$(NAME).conf.sample: $(BUILD)/conf-doc
	$(Q)$< sample >$@

$(BUILD)/$(NAME).conf.5: docs/$(NAME).conf.5.in $(BUILD)/conf-doc
	$(Q){ sed 's/@VERSION@/$(VERSION)/' $<; $(BUILD)/conf-doc man; } >$@

# What needs nothing that was built may come first.
$(BUILD):
	@mkdir -p $@

$(BUILD)/$(NAME).8: docs/$(NAME).8.in | $(BUILD)
	$(Q)sed 's/@VERSION@/$(VERSION)/' $< >$@

# Each time: they name SBINDIR and BINDIR, and the installation before may have had others.
$(BUILD)/%.service: packaging/%.service.in FORCE | $(BUILD)
	$(Q)sed 's|@SBINDIR@|$(SBINDIR)|; s|@BINDIR@|$(BINDIR)|' $< >$@

# For editors and tools that read C.
C_FILES := $(SRC) $(TOOL_SRC) $(wildcard conf/tool/*.c tool/doc/*.c tests/*/*.c tests/integration/*/*.c) $(TEST_SRC)
quoted = "$(subst ",\",$(subst \,\\,$(1)))"
entry = {"directory": $(call quoted,$(CURDIR)), "file": $(call quoted,$(1)), "command": $(call quoted,$(call compile,$(1)))}
comma := ,
.PHONY: compile_commands tags dist
compile_commands:
	$(file >$@.json,[$(call entry,$(firstword $(C_FILES))))
	$(foreach f,$(wordlist 2,$(words $(C_FILES)),$(C_FILES)),$(file >>$@.json,$(comma)$(call entry,$(f))))
	$(file >>$@.json,])
	@echo "  GEN   $@.json"

# .clang-tidy says which checks; what they find is on stdout, how many are suppressed on stderr.
# cppcheck reads no headers of libraries but the one that is all macros: tests/cppcheck.cfg.
CPPCHECK := cppcheck --quiet --error-exitcode=1 --template='{file}:{line}: {message} [{id}]' --std=c11 --max-configs=1 \
	--enable=warning,performance,portability --suppressions-list=tests/cppcheck.suppressions \
	$(addprefix --library=,posix gnu libcurl tests/cppcheck.cfg) \
	--include=$(firstword $(wildcard /usr/include/sys/queue.h /usr/include/*/sys/queue.h)) -I. -D_GNU_SOURCE '-DVERSION=""'
.PHONY: tidy
tidy: compile_commands
	@mkdir -p $(BUILD)/cppcheck
	$(Q)$(CPPCHECK) -j$(shell nproc) --cppcheck-build-dir=$(BUILD)/cppcheck $(sort $(filter-out tests/%,$(C_FILES)))
	$(Q)printf '%s\n' $(sort $(C_FILES)) | xargs -n 8 -P $(shell nproc) clang-tidy -p . --quiet \
		2>$(BUILD)/tidy.log || { grep -v ' generated' $(BUILD)/tidy.log; exit 1; }

tags:
	$(Q)ctags -o $@ $(C_FILES) $(wildcard $(addsuffix /*.h,$(ROOMS) domain tool) tests/unit/*.h tests/unit/*/*.h tests/unit/*/*/*.h)

# Debian's packages, in build/deb: source, binary, and what lintian says of them.
.PHONY: deb
deb:
	$(Q)packaging/debian/build $(BUILD)/deb $(VERSION)

# What 'make check' does with Debian's package in the lab that is up, then how all packages are made.
.PHONY: package-check
package-check:
	$(Q)LAB=$(LAB) tests/run-integration tests/integration/test_package.py tests/integration/test_package_build.py

# What is committed, without its history.
dist: | $(BUILD)
	$(Q)tests/git archive --prefix=$(NAME)-$(VERSION)/ -o $(BUILD)/$(NAME)-$(VERSION).tar.gz HEAD
	@echo "  DIST  $(BUILD)/$(NAME)-$(VERSION).tar.gz"

.PHONY: install uninstall clean help
install: all $(BUILD)/$(NAME).conf.sample $(BUILD)/$(NAME).conf.5 $(BUILD)/$(NAME).8 $(BUILD)/$(NAME).service \
		$(BUILD)/$(RECOVER).service $(BUILD)/$(TOOL).1 $(BUILD)/$(TOOL).bash
	install -D -m 755 $(BUILD)/$(NAME) $(DESTDIR)$(SBINDIR)/$(NAME)
	install -D -m 755 $(BUILD)/$(TOOL) $(DESTDIR)$(BINDIR)/$(TOOL)
	install -D -m 644 $(BUILD)/$(TOOL).1 $(DESTDIR)$(MANDIR)/man1/$(TOOL).1
	install -D -m 644 $(BUILD)/$(TOOL).bash $(DESTDIR)$(COMPLETIONDIR)/$(TOOL)
	install -D -m 644 $(BUILD)/$(NAME).conf.sample $(DESTDIR)$(EXAMPLEDIR)/$(NAME).conf.sample
	[ -e $(DESTDIR)$(SYSCONFDIR)/nova/$(NAME).conf ] || \
		install -D -m 644 packaging/$(NAME).conf $(DESTDIR)$(SYSCONFDIR)/nova/$(NAME).conf
	install -D -m 644 $(BUILD)/$(NAME).8 $(DESTDIR)$(MANDIR)/man8/$(NAME).8
	install -D -m 644 $(BUILD)/$(NAME).conf.5 $(DESTDIR)$(MANDIR)/man5/$(NAME).conf.5
	install -D -m 644 $(BUILD)/$(NAME).service $(DESTDIR)$(UNITDIR)/$(NAME).service
	install -D -m 644 packaging/$(NAME).tmpfiles $(DESTDIR)$(TMPFILESDIR)/$(NAME).conf
	install -D -m 644 $(BUILD)/$(RECOVER).service $(DESTDIR)$(UNITDIR)/$(RECOVER).service
	install -D -m 644 packaging/$(RECOVER).timer $(DESTDIR)$(UNITDIR)/$(RECOVER).timer

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/$(NAME) $(DESTDIR)$(EXAMPLEDIR)/$(NAME).conf.sample \
		$(DESTDIR)$(MANDIR)/man8/$(NAME).8 $(DESTDIR)$(MANDIR)/man5/$(NAME).conf.5 \
		$(DESTDIR)$(UNITDIR)/$(NAME).service $(DESTDIR)$(BINDIR)/$(TOOL) \
		$(DESTDIR)$(UNITDIR)/$(RECOVER).service $(DESTDIR)$(UNITDIR)/$(RECOVER).timer \
		$(DESTDIR)$(MANDIR)/man1/$(TOOL).1 $(DESTDIR)$(COMPLETIONDIR)/$(TOOL) \
		$(DESTDIR)$(TMPFILESDIR)/$(NAME).conf

clean:
	rm -rf build compile_commands.json tags

help:
	@echo 'make                build/$(NAME), build/$(TOOL)'
	@echo 'make demo           root: a private OpenStack, a real snapshot (LAB=dir)'
	@echo 'make check          root: all that decides whether a change lands, installs what it needs'
	@echo "make check-unit     no root, no services; check-asan, check-valgrind: the same, watched; TESTS='driver/*'"
	@echo 'make fuzz           clang: what reads from outside, FUZZ_SECONDS=300 each'
	@echo 'make check-put-back requests beside a nova-compute that is stopped or dies, every kind of queue'
	@echo 'make check-disks    root: every method by every kind of disk, with guests that write'
	@echo 'make check-oldest   check-unit as if the libraries were the oldest that will do'
	@echo 'make build-check    root: compilers and libraries of other releases, BUILDS="trixie:gcc-14 sid:clang"'
	@echo 'make broker-check   root: the bus against the RabbitMQ of other releases, BROKERS="bookworm trixie sid"'
	@echo 'make libvirt-check  root: libvirtd, virtqemud, virtproxyd of other releases, LIBVIRTS="bookworm trixie"'
	@echo 'make release-check  root: on another release of Debian, RELEASE=trixie, FORM="short" or "domain"'
	@echo 'make methods-check  root, in the lab: snapshots, stock and faults by METHODS="blockcopy stream"'
	@echo 'make domain-check   root: nova-snapshot domain on every kind of guest, killed at every step'
	@echo 'make chaos          root, in the lab: 200 faults; chaos-short: each point once; soak: 200 snapshots'
	@echo 'make bench          root, in the lab: against nova-compute; bench-quick: within 15 minutes'
	@echo 'make scale          200 agents on one RabbitMQ of their own, 2,000 requests at a time'
	@echo 'make lint           house rules, include rule, clang-format, shellcheck; make tidy: clang-tidy, cppcheck'
	@echo 'make lab-up         the private OpenStack alone; lab-down, lab-status; LAB_PARTS="ceph nfs"'
	@echo 'make install        DESTDIR=, PREFIX=/usr/local'
	@echo 'make deb            build/deb/*.deb, looked at by lintian'
	@echo 'make package-check  root, in the lab: the package in the hands of a new user; made twice; the RPM'
	@echo 'make dist           build/$(NAME)-$(VERSION).tar.gz of what is committed'
	@echo 'make compile_commands, tags   for clangd and editors'
	@echo 'Variables: WERROR=1, SAN=asan|tsan, BUILD=dir, CC, CFLAGS, V=1'

-include $(OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(TEST_BIN:=.d) $(TEST_SUPPORT:.o=.d)
