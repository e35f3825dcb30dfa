#!/usr/bin/env bash
# Installs what `make demo`, `make image`, `make test` or `cargo xtask verifier` needs and the machine lacks: Debian
# packages, npm packages from the lock files, cargo tools, cross compilers. Says what it does; does nothing when nothing is missing.
#
#   xtask/install.sh demo|image|test|verifier
set -euo pipefail
cd "$(dirname "$0")/.."

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

# What the recorder is built from and runs with.
recorder=(
    build-essential pkg-config python3-venv
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
    gstreamer1.0-libav gstreamer1.0-tools
    ffmpeg # makes the demo's clip where no footage is at hand, and is the tests' reference
)
# What an image for a board is made with, and the emulated board.
image=(
    build-essential git python3-venv
    linux-source-6.1 bc flex bison libssl-dev libelf-dev gcc-arm-linux-gnueabi libc6-armel-cross
    u-boot-tools u-boot-qemu squashfs-tools xz-utils
    qemu-system-arm e2fsprogs
)
# Rust for the verify page's module: rustup's, where somebody installed it or it can be had; else Debian's as below.
if ! rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown; then
    rustup target add wasm32-unknown-unknown >/dev/null 2>&1 || recorder+=(rustc-web cargo-web rust-web-src)
fi
# Rust for the board: rustup's, where somebody installed it; else Debian's, which brings its library's source.
for target in armv7-unknown-linux-musleabi armv7-unknown-linux-gnueabi; do
    rustup target list --installed 2>/dev/null | grep -qx "$target" || image+=(rustc-web cargo-web rust-web-src)
done

# Rust for the verifier of files: the same.
verifier=(build-essential python3-venv)
if [ "${1:-}" = verifier ] || [ "${1:-}" = test ]; then
    musl=x86_64-unknown-linux-musl
    if command -v rustup >/dev/null && ! rustup target list --installed 2>/dev/null | grep -qx "$musl"; then
        echo "==> Rust for $musl"
        retry rustup target add "$musl" >/dev/null 2>&1 || true
    fi
    rustup target list --installed 2>/dev/null | grep -qx "$musl" || verifier+=(rustc-web cargo-web rust-web-src)
fi

case ${1:-} in
    verifier) packages=("${verifier[@]}") ;;
    demo) packages=("${recorder[@]}") ;;
    image) packages=("${image[@]}") ;;
    test) packages=("${recorder[@]}" "${image[@]}" "${verifier[@]}" iproute2 qemu-user genromfs mtd-utils chromium mmdebstrap mpv motion fonts-dejavu-core) ;;
    *) echo "usage: $0 demo|image|test|verifier" >&2; exit 2 ;;
esac
# Nodes of another origin bring their own npm; Debian's is a package of its own.
if [ "$1" != verifier ]; then
    command -v node >/dev/null || packages+=(nodejs)
    command -v npm >/dev/null || packages+=(npm)
fi

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
if [ "$1" != verifier ]; then
    npm_packages web/ui
fi
if [ "$1" = test ]; then
    npm_packages tests/browser
    # Not optimized: they are compiled for longer than they run.
    for tool in cargo-nextest cargo-deny; do
        command -v "$tool" >/dev/null || {
            echo "==> $tool"
            retry env CARGO_PROFILE_DEV_DEBUG=false cargo install --quiet --locked --debug "$tool"
        }
    done
fi

# Cross compilers that are no Debian package, below target/: as C compiler, linker and C library `zig cc`, and cargo's
# subcommand that uses it. The verify page's module is compiled with it, too.
toolchain=${CARGO_TARGET_DIR:-target}/toolchain
mkdir -p "$toolchain"
toolchain=$(cd "$toolchain" && pwd)
# Several may want it at once: a build, and the tests beside it.
exec 9>"$toolchain/.lock"
flock 9
if ! cmp -s xtask/image-requirements.txt "$toolchain/venv/.installed"; then
    echo "==> zig cc, cargo-zigbuild"
    rm -rf "$toolchain/venv"
    /usr/bin/python3 -m venv "$toolchain/venv"
    retry "$toolchain/venv/bin/pip" install --quiet --disable-pip-version-check -r xtask/image-requirements.txt
    cp xtask/image-requirements.txt "$toolchain/venv/.installed"
fi

# cargo's subcommand that writes into each program what it was built from.
if [ "$1" != demo ]; then
    auditable=0.7.7
    if [ "$(cat "$toolchain/.cargo-auditable" 2>/dev/null)" != "$auditable" ]; then
        echo "==> cargo-auditable"
        retry cargo install --quiet --locked --force --root "$toolchain" --version "$auditable" cargo-auditable
        echo "$auditable" > "$toolchain/.cargo-auditable"
    fi
    # musl's dynamic loader for the board, which tests run mpp-host with. Debian has it for armel, as this machine need not
    # be told: lists and package are fetched into a folder, and nothing is installed.
    musl=$toolchain/musl-armel
    if [ "$1" = test ] && [ ! -e "$musl/lib/ld-musl-arm.so.1" ]; then
        echo "==> musl for armel"
        rm -rf "$musl"
        mkdir -p "$musl"/apt/lists/partial "$musl"/apt/cache/archives/partial
        armel=(
            -qq -o APT::Architecture=armel -o APT::Architectures=armel -o APT::Sandbox::User=root
            -o Dir::State::Lists="$musl/apt/lists" -o Dir::Cache="$musl/apt/cache"
        )
        retry apt-get "${armel[@]}" update
        (cd "$musl/apt" && retry apt-get "${armel[@]}" download musl)
        dpkg-deb -x "$musl"/apt/musl_*_armel.deb "$musl/apt/files"
        mkdir "$musl/lib"
        cp -L "$musl/apt/files/lib/ld-musl-arm.so.1" "$musl/lib/"
        rm -rf "$musl/apt"
    fi
    # VLC with its RTSP client, and openRTSP: Debian has them in unstable alone. A folder with all that they need becomes their
    # root while a test lets them play, which root alone can do. Where they cannot be had, that test says so.
    players=$toolchain/players
    if [ "$1" = test ] && [ "$(id -u)" -eq 0 ] && [ ! -e "$players/usr/bin/openRTSP" ]; then
        echo "==> VLC and openRTSP of Debian unstable"
        unstable() {
            rm -rf "$players"
            mmdebstrap --quiet --variant=extract --aptopt='APT::Install-Recommends "false"' \
                --include=base-files,vlc-bin,vlc-plugin-base,vlc-plugin-access-extra,livemedia-utils \
                unstable "$players" "deb [check-valid-until=no] http://deb.debian.org/debian unstable main"
        }
        retry unstable || rm -rf "$players"
    fi
fi
