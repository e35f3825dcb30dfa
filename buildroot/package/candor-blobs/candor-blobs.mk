################################################################################
#
# candor-blobs
#
################################################################################

# Buildroot looks at a local package's folder even when the package is off.
ifeq ($(BR2_PACKAGE_CANDOR_BLOBS),y)

CANDOR_BLOBS_VERSION = owner
CANDOR_BLOBS_SITE = $(call qstrip,$(BR2_PACKAGE_CANDOR_BLOBS_PATH))
CANDOR_BLOBS_SITE_METHOD = local
CANDOR_BLOBS_LICENSE = PROPRIETARY (kernel: GPL-2.0)
CANDOR_BLOBS_REDISTRIBUTE = NO
CANDOR_BLOBS_INSTALL_IMAGES = YES
CANDOR_BLOBS_MANIFEST = $(call qstrip,$(BR2_PACKAGE_CANDOR_BLOBS_MANIFEST))

ifeq ($(BR_BUILDING),y)
ifeq ($(CANDOR_BLOBS_SITE),)
$(error BR2_PACKAGE_CANDOR_BLOBS_PATH is empty: name the folder of the owner's files)
endif
ifeq ($(wildcard $(CANDOR_BLOBS_MANIFEST)),)
$(error BR2_PACKAGE_CANDOR_BLOBS_MANIFEST names no file: "$(CANDOR_BLOBS_MANIFEST)")
endif
endif

define CANDOR_BLOBS_CONFIGURE_CMDS
	$(BR2_EXTERNAL_CANDOR_PATH)/scripts/check-blobs.sh $(@D) $(CANDOR_BLOBS_MANIFEST)
endef

define CANDOR_BLOBS_INSTALL_TARGET_CMDS
	for part in modules lib; do \
		[ ! -d $(@D)/$$part ] || { \
			mkdir -p $(TARGET_DIR)/opt/vendor/$$part && \
			cp -f $(@D)/$$part/* $(TARGET_DIR)/opt/vendor/$$part/ && \
			chmod 0644 $(TARGET_DIR)/opt/vendor/$$part/*; } || exit 1; \
	done
endef

define CANDOR_BLOBS_INSTALL_IMAGES_CMDS
	$(INSTALL) -D -m 0644 $(CANDOR_BLOBS_MANIFEST) $(BINARIES_DIR)/blobs.sha256
	[ ! -f $(@D)/kernel/zImage ] || $(INSTALL) -D -m 0644 $(@D)/kernel/zImage $(BINARIES_DIR)/zImage
endef

$(eval $(generic-package))

endif
