#!/bin/sh
# The compiler, told to call folders of this machine by the names that they have in programs: --remap-path-prefix options
# in CANDOR_REMAP, separated by 0x1f. cargo is not told of them, so that to it other people's crates are the same in every
# folder that an image is built in.
set -f
IFS=$(printf '\037')
# shellcheck disable=SC2086
exec "$@" $CANDOR_REMAP
