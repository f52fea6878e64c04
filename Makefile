# Targets: build test nightly demo bench lint install fuzz. `make help` lists them.

VERSION := 2.4.3-go$(shell git describe --tags --always --dirty 2>/dev/null | sed 's/^/+/')
DATE    := $(shell git log -1 --format=%cd --date=format:'%m/%d,%Y' 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.date=$(DATE)
PREFIX  ?= /usr
SBINDIR ?= $(PREFIX)/sbin
UNITDIR ?= $(PREFIX)/lib/systemd/system
MANDIR  ?= $(PREFIX)/share/man
COMPDIR ?= $(PREFIX)/share
DBUSDIR ?= $(PREFIX)/share/dbus-1/system.d
MIBDIR  ?= $(PREFIX)/share/snmp/mibs

export CGO_ENABLED = 0

.PHONY: help build test nightly race race-packages race-scenarios cover lint demo bench fuzz install clean

help:
	@echo 'build    the static binary ./keepalived'
	@echo 'test     every test; installs what it needs when it may (root, Debian or Ubuntu)'
	@echo 'nightly  what takes minutes: more reloads and failing checks, every mutation of files with secrets, every scenario under the race detector, each fuzz target for 5 minutes'
	@echo 'race     the tests in one process, and scenarios with a daemon built so, under the race detector'
	@echo 'cover    the coverage of each package by its tests; each should have 80 %, run by an ordinary user too'
	@echo 'lint     gofmt, go vet, staticcheck'
	@echo 'demo     two nodes protect an address before your eyes'
	@echo 'bench    ours beside the C daemon, a table with ratios (root)'
	@echo 'fuzz     each fuzz target for FUZZTIME (30s)'
	@echo 'install  binary, unit, examples, manual pages and completion below DESTDIR'

build:
	go build -trimpath -ldflags '$(LDFLAGS)' -o keepalived ./cmd/keepalived

# What the tests of namespaces need is installed first, where that is possible;
# what is left out for want of root or of a program is printed at the end.
test: build
	./packaging/test-deps
	KEEPALIVED_BIN=$(CURDIR)/keepalived ./packaging/go-test ./...

nightly: build
	./packaging/test-deps
	KEEPALIVED_NIGHTLY=1 KEEPALIVED_BIN=$(CURDIR)/keepalived ./packaging/go-test ./...
	$(MAKE) race RACED=.
	$(MAKE) fuzz FUZZTIME=5m

# The scenarios in which several goroutines have something to do. The others elect
# masters, which one goroutine does.
RACED ?= Reload|Kill|Track|Script|FIFO|Mail|RunDirectory|Shortage|Descriptors|Busy|Leak|Hundred|VMAC|Firewall|Routes|BFD|Link|Interface|Signals|Process|Flushed|Stop|Dumps

race: race-packages race-scenarios

# Races are where goroutines are: in packages that start some, or have what they share. The
# language and the engines have none. Packages whose tests are other programs, or a kernel,
# show no races of ours.
race-packages:
	GORACE=atexit_sleep_ms=0 CGO_ENABLED=1 go test -race -trimpath -ldflags='-s -w' -vet=off -p 4 -parallel 3 $$( \
	  grep -rlE --include='*.go' --exclude='*_test.go' '\<go (func\(|[[:alnum:]_.]+\()|\<(sync\.(RW)?Mutex|sync\.WaitGroup|atomic\.)' \
	    bfd conf lint lvs vrrp internal | grep -v tool/lab/uml | xargs -n 1 dirname | sort -u | sed 's,^,./,')

race-scenarios:
	CGO_ENABLED=1 go build -race -trimpath -o bin/keepalived-race ./cmd/keepalived
	GORACE='atexit_sleep_ms=0 halt_on_error=1' KEEPALIVED_BIN=$(CURDIR)/bin/keepalived-race go test -trimpath -vet=off -count=1 -short -run '$(RACED)' ./test

cover:
	./packaging/coverage ./...

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these files'; exit 1; }
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...

demo: build
	./keepalived demo

bench: build
	./packaging/test-deps
	go run ./bench -ours $(CURDIR)/keepalived

FUZZTIME ?= 30s
fuzz:
	@for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; \
	done

install: build
	install -D -m 0755 keepalived $(DESTDIR)$(SBINDIR)/keepalived
	install -D -m 0644 packaging/keepalived.service $(DESTDIR)$(UNITDIR)/keepalived.service
	test -e $(DESTDIR)/etc/default/keepalived || \
	  install -D -m 0644 packaging/keepalived.default $(DESTDIR)/etc/default/keepalived
	install -D -m 0644 packaging/keepalived.conf.sample $(DESTDIR)/etc/keepalived/keepalived.conf.sample
	install -D -m 0644 packaging/mibs/KEEPALIVED-MIB.txt $(DESTDIR)$(MIBDIR)/KEEPALIVED-MIB.txt
	install -D -m 0644 packaging/dbus/org.keepalived.Vrrp1.conf $(DESTDIR)$(DBUSDIR)/org.keepalived.Vrrp1.conf
	./keepalived man 8 | install -D -m 0644 /dev/stdin $(DESTDIR)$(MANDIR)/man8/keepalived.8
	./keepalived man 5 | install -D -m 0644 /dev/stdin $(DESTDIR)$(MANDIR)/man5/keepalived.conf.5
	./keepalived completion bash | install -D -m 0644 /dev/stdin $(DESTDIR)$(COMPDIR)/bash-completion/completions/keepalived
	./keepalived completion zsh | install -D -m 0644 /dev/stdin $(DESTDIR)$(COMPDIR)/zsh/site-functions/_keepalived
	./keepalived completion fish | install -D -m 0644 /dev/stdin $(DESTDIR)$(COMPDIR)/fish/vendor_completions.d/keepalived.fish

clean:
	rm -f keepalived
