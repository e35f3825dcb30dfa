################################################################################
#
# candor
#
################################################################################

CANDOR_VERSION = 0.1.0
# The tree around this one. Another place: CANDOR_OVERRIDE_SRCDIR in local.mk.
CANDOR_SITE = $(realpath $(BR2_EXTERNAL_CANDOR_PATH)/..)
CANDOR_SITE_METHOD = local
CANDOR_LICENSE = MIT or Apache-2.0
CANDOR_LICENSE_FILES = LICENSE-MIT LICENSE-APACHE
CANDOR_INSTALL_IMAGES = YES
CANDOR_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = \
	--exclude /target \
	--exclude /buildroot/output \
	--exclude node_modules

# Commit and its time are read in the tree, for the copy that is built has no history.
CANDOR_COMMIT = $(shell git -C $(CANDOR_SRCDIR_OF_TREE) describe --always --abbrev=40 --dirty=+dirty --exclude='*' 2>/dev/null)
CANDOR_EPOCH = $(or $(shell git -C $(CANDOR_SRCDIR_OF_TREE) show --no-patch --format=%ct HEAD 2>/dev/null),0)
CANDOR_SRCDIR_OF_TREE = $(or $(CANDOR_OVERRIDE_SRCDIR),$(CANDOR_SITE))

# The profile `board`, as in `cargo xtask image`, where the infrastructure knows debug and release only. Each
# program by itself: together, cargo would give the loader every feature that the recorder wants of a shared crate.
define CANDOR_BUILD_CMDS
	for program in candor loader; do \
		cd $(@D) && \
		$(TARGET_MAKE_ENV) \
			$(TARGET_CONFIGURE_OPTS) \
			$(PKG_CARGO_ENV) \
			CANDOR_COMMIT=$(CANDOR_COMMIT) \
			cargo build --offline --locked --profile board --no-default-features -p $$program || exit 1; \
	done
endef

# The host's part: the tool that composes and signs images.
HOST_CANDOR_CARGO_BUILD_OPTS = -p xtask

# Buildroot vendors crates while it packs a download; a local tree is not downloaded, so it happens here. A folder
# VENDOR that is already there (cargo vendor --locked VENDOR, for a build without a network) is taken as it is.
define CANDOR_VENDOR
	cd $(@D) && \
	if [ ! -d VENDOR ]; then \
		mkdir -p $(BR_CARGO_HOME) && \
		PATH=$(BR_PATH) CARGO_HOME=$(BR_CARGO_HOME) flock $(BR_CARGO_HOME)/.br-lock \
			cargo vendor --locked VENDOR > .cargo/vendored.toml; \
	else \
		printf '[source.crates-io]\nreplace-with = "vendored-sources"\n[source.vendored-sources]\ndirectory = "VENDOR"\n' \
			> .cargo/vendored.toml; \
	fi && \
	{ grep -q vendored-sources .cargo/config.toml || cat .cargo/vendored.toml >> .cargo/config.toml; }
endef
CANDOR_PRE_CONFIGURE_HOOKS += CANDOR_VENDOR
HOST_CANDOR_PRE_CONFIGURE_HOOKS += CANDOR_VENDOR

# The browser app is built by npm, which Buildroot does not do for us.
define CANDOR_CHECK_UI
	@test -f $(@D)/web/ui/dist/index.html || { \
		echo "candor: web/ui/dist is missing: run 'make ui' in $(CANDOR_SRCDIR_OF_TREE)" >&2; exit 1; }
endef
CANDOR_PRE_BUILD_HOOKS += CANDOR_CHECK_UI

CANDOR_BINARIES = target/$(RUSTC_TARGET_NAME)/board

CANDOR_KEYS = $(or $(call qstrip,$(BR2_PACKAGE_CANDOR_KEYS)),$(BINARIES_DIR)/development-keys)

# What /etc/os-release says (post-build.sh removes Buildroot's own), and the keys that updates are verified with.
define CANDOR_INSTALL_TARGET_CMDS
	mkdir -p $(TARGET_DIR)/etc/candor
	printf 'NAME=Candor\nID=candor\nVERSION_ID=%s\nBUILD_ID=%s\nPRETTY_NAME="Candor %s"\n' \
		$(CANDOR_VERSION) $(CANDOR_COMMIT) $(CANDOR_VERSION) > $(TARGET_DIR)/etc/candor/os-release
	$(HOST_DIR)/bin/candor-xtask buildroot keys --keys $(CANDOR_KEYS) --commit $(CANDOR_COMMIT) \
		--epoch $(CANDOR_EPOCH) --out $(TARGET_DIR)/etc/candor/root-keys.json
	$(INSTALL) -D -m 0755 $(@D)/$(CANDOR_BINARIES)/candor $(TARGET_DIR)/bin/candor
endef

# mpp-host and the C library that it runs with; stand-ins for tests, in folders below, stay behind.
CANDOR_MEDIA = $(call qstrip,$(BR2_PACKAGE_CANDOR_MEDIA))
define CANDOR_INSTALL_MEDIA
	$(INSTALL) -D -m 0755 $(CANDOR_MEDIA)/bin/mpp-host $(TARGET_DIR)/bin/mpp-host
	mkdir -p $(TARGET_DIR)/lib
	find $(CANDOR_MEDIA)/lib -maxdepth 1 '(' -type f -o -type l ')' -exec cp -dfp '{}' $(TARGET_DIR)/lib/ ';'
endef
ifneq ($(CANDOR_MEDIA),)
CANDOR_POST_INSTALL_TARGET_HOOKS += CANDOR_INSTALL_MEDIA
endif

# The loader is part of the stage, not of the root.
define CANDOR_INSTALL_IMAGES_CMDS
	$(INSTALL) -D -m 0755 $(@D)/$(CANDOR_BINARIES)/loader $(BINARIES_DIR)/loader
	echo $(CANDOR_COMMIT) > $(BINARIES_DIR)/commit
	echo $(CANDOR_EPOCH) > $(BINARIES_DIR)/epoch
endef

define HOST_CANDOR_INSTALL_CMDS
	$(INSTALL) -D -m 0755 $(@D)/target/release/xtask $(HOST_DIR)/bin/candor-xtask
endef

CANDOR_DEPENDENCIES = host-candor

$(eval $(cargo-package))
$(eval $(host-cargo-package))
