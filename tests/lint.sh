#!/bin/bash
# tests/lint.sh BUILD: what the compiler does not check.  Every check prints
# what it found and is one passed or failed of the last line.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:-build/release}
passed=0 failed=0 skipped=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

check() {	# TITLE FUNCTION: passes when the function prints nothing
	local title=$1 status
	"$2" >"$work/found" 2>&1
	status=$?
	if [ $status = 77 ]; then
		skipped=$((skipped + 1))
		printf 'skip  %s: %s\n' "$title" "$(cat "$work/found")"
	elif [ -s "$work/found" ]; then
		failed=$((failed + 1))
		printf 'FAIL  %s\n' "$title"
		sed 's/^/      | /' "$work/found"
	else
		passed=$((passed + 1))
		printf 'ok    %s\n' "$title"
	fi
}

files() { git ls-files -- "$@" | while read -r f; do [ ! -f "$f" ] || echo "$f"; done; }

layers='base ledger index fs analytics mount-tools'

includes() {
	local layer allowed=
	for layer in $layers; do
		allowed+="${allowed:+|}$layer"
		files "$layer/*.[ch]" | xargs -r grep -HnE '^ *# *include *"' |
			grep -vE "^[^\"]*\"($allowed)/([a-z]+/)?[a-z0-9_-]+\.[ch]\""
	done
}

system_includes() {
	files 'base/*.[ch]' 'ledger/*.[ch]' | xargs -r grep -HnE '#.*<(sqlite|fuse)'
	files 'fs/*.[ch]' 'index/*.[ch]' 'analytics/*.[ch]' 'mount-tools/*.[ch]' |
		grep -vxE 'fs/(fuse/fuse_ll[a-z_]*|daemon/mount_opt)\.[ch]' | xargs -r grep -HnE '#.*<(fuse[^>]*)\.h>'
}

stranger() {	# vouch-check needs neither FUSE nor SQLite, nor other layers
	[ -f mount-tools/vouch-check.c ] || { echo 'not written yet'; return 77; }
	grep -nE '#.*"' mount-tools/vouch-check.c | grep -vE '"(base|ledger)/'
	readelf -d "$build/vouch-check" | grep -E 'NEEDED.*(fuse|sqlite)'
	nm "$build/vouch-check" | grep -E ' [Tt] (fuse|sqlite3)_'
}

# Files whose functions are not called after the file, and why it is so.
prefixes_of() {
	case $1 in
	base/err) echo err errmsg ;;
	base/bytes) echo breader bwriter ;;		# two directions
	base/thread) echo thread mutex cond ;;	# one small family
	*) local stem=${1##*/}
		stem=${stem//-/_}
		echo "$stem"
		while [[ $stem == *_* ]]; do	# state_xattr.c may say state_
			stem=${stem%_*}
			echo "$stem"
		done ;;
	esac
}

symbols() {
	local source object symbol prefix good
	for source in $(files $(printf '%s/*.c ' $layers)); do
		object=$build/obj/${source%.c}.o
		[ -f "$object" ] || { echo "$object is missing"; continue; }
		for symbol in $(nm -g --defined-only "$object" | awk '{ print $3 }'); do
			good=
			for prefix in $(prefixes_of "${source%.c}"); do
				[[ $symbol != "$prefix" && $symbol != "$prefix"_* ]] ||
					good=1
			done
			[[ -n $good || ( $symbol == main && $source == mount-tools/* ) ]] ||
				echo "$source exports $symbol"
		done
	done
}

banned() {
	local f
	for f in $(files '*.c' '*.h'); do
		gcc -fpreprocessed -dD -E "$f" 2>/dev/null |
			grep -E '\b(strcpy|strcat|v?sprintf|strtok|atoi|rand|gets)[[:space:]]*\(' |
			sed "s|^|$f: |"
	done
}

pages() {
	local page
	for page in $(files 'man/*.[1-8]'); do
		groff -K utf8 -T utf8 -mdoc -wall -z "$page" 2>&1 | sed "s|^|$page: |"
		groff -K utf8 -T utf8 -mdoc "$page" 2>/dev/null | grep -q . ||
			echo "$page: renders to nothing"
	done
}

long() { files '*.[ch]' '*.sh' | xargs -r wc -l | awk '$2 != "total" && $1 > 800'; }

layout() {
	command -v clang-format-14 >/dev/null ||
		{ echo 'clang-format 14 is not here'; return 77; }
	# One line per file: `make format` mends all of it.
	files '*.[ch]' | xargs -r clang-format-14 --dry-run -Werror 2>&1 |
		sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: error.*/\1/p' | uniq -c |
		awk '{ print $2 ": " $1 " places; make format mends them" }'
}

space() {
	files | grep -vE '^(tests/golden/|tests/fuzz/corpus/|LICENSE)|\.out$' |
		xargs -r -d '\n' grep -HnIE '[[:space:]]+$'
}

# The brackets keep this file out of its own findings.
machine() {
	files | grep -v '^tests/golden/' | xargs -r -d '\n' grep -HnIE \
		'/[w]ork/|[d]eb\.debian\.org|[s]napshot\.debian\.org|[p]roxy\.golang\.org|[p]ypi\.org|[r]egistry\.npmjs|[c]rates\.io|[d]ocker\.io'
}

shell() {
	local f
	for f in $(files '*.sh' .ci/run mount-tools/completion.bash); do
		bash -n "$f"
	done
}

locks() {
	command -v clang >/dev/null || { echo 'clang is not here'; return 77; }
	files 'base/*.c' 'ledger/*.c' 'index/*.c' 'fs/*.c' 'analytics/*.c' |
		xargs -r -n 8 -P "$(nproc)" clang -fsyntax-only -std=c17 \
			-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -iquote . \
			-DVOUCHFS_VERSION='""' \
			$(sed -n 's/^DEPS_CFLAGS := //p' build/deps/build.mk) \
			-Wno-everything -Wthread-safety 2>&1 | grep -E '(error|warning):'
}

check 'include only what is to the left' includes
check 'FUSE and SQLite only where they belong' system_includes
check 'vouch-check is base and ledger alone' stranger
check 'foo.c exports foo_* alone' symbols
check 'no banned call' banned
check 'manual pages render without a warning' pages
check 'no file over 800 lines' long
check 'layout is as clang-format says' layout
check 'no space at the end of a line' space
check 'no path of a machine, no registry' machine
check 'shell scripts parse' shell
check 'locks: clang -Wthread-safety' locks
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
