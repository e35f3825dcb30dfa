#!/bin/sh
# Usage: check-root.sh DIR
# Fails when a root filesystem holds a shell, an interpreter, a debugger's server, a remote shell, or set-id files.
set -eu

found=$(
	find "$1" \( -type f -o -type l \) \( \
		-name busybox -o -name toybox -o -name sh -o -name '*ash' -o -name ksh -o -name mksh -o -name zsh \
		-o -name csh -o -name tcsh -o -name fish -o -name python -o -name 'python[0-9]*' -o -name perl \
		-o -name lua -o -name 'lua[0-9]*' -o -name awk -o -name gdbserver -o -name strace \
		-o -name telnetd -o -name sshd -o -name dropbear \) -print
	find "$1" -type f \( -perm -4000 -o -perm -2000 \) -print
)
if [ -n "$found" ]; then
	printf 'check-root: not in a root of ours:\n%s\n' "$found" >&2
	exit 1
fi
