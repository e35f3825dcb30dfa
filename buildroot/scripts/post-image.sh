#!/bin/sh
# Usage: post-image.sh BINARIES_DIR BOARD
# Makes the signed bundle of the root that Buildroot packed, and, where there is a kernel, the stage; the tool is the
# one behind `cargo xtask image`, so both lay out the same.
set -eu

images=$1
board=$2

# A string of Buildroot's configuration.
setting() {
	sed -n "s|^$1=\"\(.*\)\"\$|\1|p" "$BR2_CONFIG"
}
keys=$(setting BR2_PACKAGE_CANDOR_KEYS)
address=$(setting BR2_PACKAGE_CANDOR_LOAD_ADDRESS)

cp "$images/rootfs.squashfs" "$images/root.squashfs"
"$HOST_DIR/bin/candor-xtask" buildroot pack --board "$board" --images "$images" \
	--keys "${keys:-$images/development-keys}" \
	--commit "$(cat "$images/commit")" --epoch "$(cat "$images/epoch")" \
	${address:+--load-address "$address"}
