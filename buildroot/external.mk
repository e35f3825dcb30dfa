# What Buildroot reads of this tree beside Config.in: the packages.
include $(sort $(wildcard $(BR2_EXTERNAL_CANDOR_PATH)/package/*/*.mk))

# A fragment of ours is a whole kernel: all that it does not name is off (as in `cargo xtask image`), where Buildroot
# by itself would fill the gaps with the architecture's defaults.
ifeq ($(BR2_LINUX_KERNEL)$(filter $(BR2_EXTERNAL_CANDOR_PATH)/%,$(LINUX_KCONFIG_FILE)),y$(LINUX_KCONFIG_FILE))
LINUX_KCONFIG_DEFCONFIG = KCONFIG_ALLCONFIG=$(LINUX_KCONFIG_FILE) allnoconfig
endif
