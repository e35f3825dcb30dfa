# `make demo` runs the recorder, `make test` runs every test, `make image` makes what is flashed onto a board, and
# `make emulate` runs that. Each installs what is missing.

.PHONY: demo test image emulate ui

# The first of four ports that the demo listens on, on this machine alone; 0: the usual 8443, 8554, 8322.
PORT_BASE ?= 0

demo:
	@xtask/install.sh demo
	@$(MAKE) --no-print-directory ui
	@cargo xtask demo --port-base '$(PORT_BASE)'

test:
	@xtask/install.sh test
	@$(MAKE) --no-print-directory ui
	@echo "==> the programs and their tests"
	@cargo build --locked --workspace --all-targets
	@"$${CARGO_TARGET_DIR:-target}/debug/xtask" test

# The board, and megabytes of its flash: 16 or 64.
BOARD ?= virt-a7
NOR ?= 16

image:
	@cargo xtask image --board '$(BOARD)'

emulate:
	@cargo xtask emulate --board '$(BOARD)' --nor '$(NOR)' --port-base '$(PORT_BASE)'

# The browser app and the verify page, each built when a source of it is newer.
ui: web/ui/dist/index.html web/verify/dist/verify.html
	@:

web/ui/dist/index.html: $(shell find web/ui -path web/ui/node_modules -prune -o -path web/ui/dist -prune -o -type f -print)
	@echo "==> the browser app"
	@npm --prefix web/ui run --silent build

web/verify/dist/verify.html: Cargo.toml Cargo.lock $(shell find web/verify -path web/verify/dist -prune -o -type f -print) \
		$(shell find firmware/evidence firmware/ledger firmware/media hal/api board -name '*.rs' -o -name Cargo.toml)
	@echo "==> the verify page"
	@node web/verify/build.mjs
