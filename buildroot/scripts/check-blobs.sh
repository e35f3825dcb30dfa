#!/bin/sh
# Usage: check-blobs.sh FOLDER MANIFEST
# Fails unless the folder holds exactly the files that the manifest names, with the hashes that it gives. The manifest
# is sha256sum's output; its paths begin with kernel/, modules/ or lib/.
set -eu

folder=$1
manifest=$(realpath "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if grep -vE '^[0-9a-f]{64} [ *](kernel|modules|lib)/[A-Za-z0-9._+-]+$' "$manifest"; then
	echo "candor-blobs: $manifest: a line is not 'SHA256  kernel/FILE', 'modules/FILE' or 'lib/FILE'" >&2
	exit 1
fi
cd "$folder"
# Buildroot's own marks begin with a dot and are not the owner's.
find . -path './.*' -prune -o ! -type d -print | sed 's|^\./||' | LC_ALL=C sort > "$scratch/there"
cut -c 67- "$manifest" | LC_ALL=C sort > "$scratch/named"
if ! diff "$scratch/named" "$scratch/there" > "$scratch/difference"; then
	sed -n 's/^< /candor-blobs: missing: /p; s/^> /candor-blobs: not in the manifest: /p' "$scratch/difference" >&2
	exit 1
fi
if find . -path './.*' -prune -o -type l -print | grep .; then
	echo "candor-blobs: a link, where files are wanted" >&2
	exit 1
fi
if [ -s "$manifest" ]; then
	sha256sum --check --strict --quiet "$manifest" >&2
fi
