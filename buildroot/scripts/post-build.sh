#!/bin/sh
# Usage: post-build.sh TARGET_DIR BOARD
# Makes the root what the overlay, the program and the owner's files are, and nothing more. A shell, an interpreter
# or a file with set-id rights means that the configuration was changed: the build stops.
set -eu

target=$1
board=$2
here=$(cd "$(dirname "$0")" && pwd)
overlay=$here/../board/common/overlay

"$here/check-root.sh" "$target"

# What Buildroot puts into every root and nothing of ours reads: /etc/profile, /etc/os-release, /usr/lib, ...
cd "$target"
find . -mindepth 1 -depth | sed 's|^\./||' | while read -r path; do
	case $path in
	bin | bin/candor | bin/mpp-host | etc/candor/os-release | etc/candor/root-keys.json | opt | opt/vendor | opt/vendor/*) continue ;;
	# The C library of mpp-host, where there is one.
	lib | lib/ld-linux.so.* | lib/ld-musl-arm.so.* | lib/ld-uClibc.so.* | lib/lib[cm].so.* | lib/libdl.so.* \
		| lib/libpthread.so.* | lib/libmppshim.so)
		[ -x bin/mpp-host ] && continue
		;;
	esac
	[ -e "$overlay/$path" ] || [ -L "$overlay/$path" ] && continue
	if [ -d "$path" ] && [ ! -L "$path" ]; then
		rmdir "$path" 2>/dev/null || true
	else
		rm -f "$path"
	fi
done
mv etc/candor/os-release etc/os-release
[ -x bin/candor ] && [ "$(readlink sbin/init)" = ../bin/candor ] && [ -f etc/candor/root-keys.json ] || {
	echo "post-build: $board: /bin/candor, /sbin/init or /etc/candor/root-keys.json is missing" >&2
	exit 1
}
