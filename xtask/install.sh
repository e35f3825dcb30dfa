#!/usr/bin/env bash
# Installs what `make demo` or `make test` needs and the machine lacks: Debian packages, npm packages from
# the lock files, cargo tools. Says what it does; does nothing when nothing is missing.
#
#   xtask/install.sh demo|test
set -euo pipefail
cd "$(dirname "$0")/.."

# What the recorder is built from and runs with.
packages=(
    build-essential pkg-config
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
    gstreamer1.0-libav gstreamer1.0-tools
    ffmpeg # makes the demo's clip where no footage is at hand, and is the tests' reference
)
# Nodes of another origin bring their own npm; Debian's is a package of its own.
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
case ${1:-} in
    demo) ;;
    test) packages+=(chromium vlc-bin vlc-plugin-base fonts-dejavu-core) ;;
    *) echo "usage: $0 demo|test" >&2; exit 2 ;;
esac

# Networks fail; three tries with a pause between.
retry() {
    local try
    for try in 1 2 3; do
        "$@" && return 0
        echo "    try $try of 3 failed: $*" >&2
        sleep $((try * 5))
    done
    return 1
}

command -v cargo >/dev/null || {
    echo "Rust is missing. Install it as https://rustup.rs says, then run this again." >&2
    exit 1
}

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "==> Debian packages: ${missing[*]}"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if sudo -n true 2>/dev/null; then
            as_root=(sudo -n)
        else
            echo "Run this once, then try again:" >&2
            echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
            exit 1
        fi
    fi
    retry "${as_root[@]}" apt-get -qq update
    retry "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "${missing[@]}"
fi

# npm packages, again only when the lock file changed.
npm_packages() {
    local dir=$1 stamp=$1/node_modules/.installed
    if ! cmp -s "$dir/package-lock.json" "$stamp" 2>/dev/null; then
        echo "==> npm packages of $dir"
        retry npm --prefix "$dir" ci --no-fund --no-audit --loglevel=error
        cp "$dir/package-lock.json" "$stamp"
    fi
}
npm_packages web/ui

if [ "$1" = test ]; then
    npm_packages tests/browser
    for tool in cargo-nextest cargo-deny; do
        command -v "$tool" >/dev/null || {
            echo "==> $tool"
            retry cargo install --quiet --locked "$tool"
        }
    done
fi
