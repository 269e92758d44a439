#!/bin/bash
# tests/run.sh BUILD TEST...: runs tests, one line each, and counts.
#
# A TEST is a script of tests/cli, tests/mount or tests/foreign, or a program
# below BUILD/tests: unit (Criterion), sweep, stress, fuzz (replays its
# corpus).  Exit 77 means skipped, the last line of output says why; anything
# else but 0 means failed.  What a test gets, and what it may not leave behind,
# is in tests/README.md.  The last line of output is
#	N passed, N failed, N skipped
# and the exit status is 0 only when there was a test and none failed.
#
# J=N runs N at once (default: one per processor), KEEP=1 keeps the temporary
# directories, LIMIT=SECONDS is the time limit of a test that names none,
# OVERTIME=SECONDS that of all.
set -u
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
cd "$top" || exit 1
build=$1
shift
BUILD=$top/$build
variant=${build##*/}
jobs=${J:-$(nproc)}
logs=$BUILD/log
results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT
mkdir -p "$logs"
# The foreign verifiers' compiled packages outlive a test's own HOME.
export GOCACHE=${GOCACHE:-$top/build/go/cache}
export GOMODCACHE=${GOMODCACHE:-$top/build/go/mod}
export GOFLAGS=${GOFLAGS:--modcacherw}

scale=1
wrapper=()
case $variant in
asan) scale=4 ;;
tsan)
	scale=8
	# TSan cannot start where the kernel randomises too much.
	setarch -R true 2>/dev/null && wrapper=(setarch -R)
	;;
esac

header() {	# SCRIPT NAME: the value of a "# NAME: value" line near its top
	sed -n "1,30s/^[#*\\/ ]*$2: *\\([^ ]*\\).*/\\1/p" "$1" | head -n 1
}

mounts_below() {	# DIR: innermost first
	awk -v d="$1/" 'index($5 "/", d) == 1 { print $5 }' /proc/self/mountinfo |
		tac
}

processes_of() {	# ID: process ids of everything the test started
	grep -lsa "VOUCH_TEST=$1" /proc/[0-9]*/environ 2>/dev/null |
		cut -d/ -f3
}

# Ends what the test left behind; says what it was on standard output.
clean_up() {	# ID DIR
	local point pid tries
	for point in $(mounts_below "$2"); do
		echo "left mounted: ${point#"$2"/}"
		fusermount3 -uz "$point" 2>/dev/null || umount -l "$point"
	done
	for tries in $(seq 50); do
		[ -n "$(processes_of "$1")" ] || return 0
		sleep 0.1
	done
	for pid in $(processes_of "$1"); do
		echo "left running: $pid $(tr '\0' ' ' </proc/"$pid"/cmdline)"
		kill -KILL "$pid" 2>/dev/null
	done
}

# Counts a Criterion report: passed failed skipped.
count_tap() {
	awk '/^not ok/ { f++; next } /^ok.*# *SKIP/ { s++; next } /^ok/ { p++ }
		END { print p + 0, f + 0, s + 0 }' "$1"
}

run_one() {	# NUMBER TEST
	local test=$2 name log dir id limit status took left
	local command=() start=$EPOCHREALTIME counts=
	name=${test#"$build"/}
	name=${name#tests/}
	log=$logs/${name//\//-}.log
	id=$$.$1
	dir=$(mktemp -d "${TMPDIR:-/tmp}/vouch-test.XXXXXX") || exit 1
	rm -f "$log" "$log".*
	limit=${LIMIT:-180}
	case $test in
	*.sh)
		command=(bash "$top/$test")
		limit=$(header "$test" timeout)
		limit=${limit:-${LIMIT:-120}}
		;;
	*/tests/unit/*) command=("$BUILD/tests/$name" "--tap=$log.tap") ;;
	*/tests/fuzz/*)
		local corpus=${name#fuzz/fuzz_}
		command=("$BUILD/tests/$name" "tests/fuzz/corpus/$corpus")
		;;
	*)
		command=("$BUILD/tests/$name")
		limit=$(header "tests/$name.c" timeout)
		limit=${limit:-${LIMIT:-300}}
		;;
	esac
	limit=${OVERTIME:-$limit}
	mkdir "$dir/home"
	(
		[[ $test != *.sh ]] || cd "$dir" || exit 1
		exec env VOUCH_TEST="$id" TMPDIR="$dir" HOME="$dir/home" \
			XDG_CONFIG_HOME="$dir/home/.config" TOP="$top" BUILD="$BUILD" \
			VARIANT="$variant" SLOWNESS="$scale" \
			VOUCH="$BUILD/vouch" VOUCH_CHECK="$BUILD/vouch-check" \
			PATH="$BUILD:$BUILD/tests/cli:$BUILD/tests/mount:$PATH:/usr/sbin:/sbin" \
			ASAN_OPTIONS="log_path=$log.asan:detect_leaks=1:${ASAN_OPTIONS:-}" \
			LSAN_OPTIONS="suppressions=$top/tests/lsan.supp:print_suppressions=0" \
			UBSAN_OPTIONS="log_path=$log.ubsan:print_stacktrace=1" \
			TSAN_OPTIONS="log_path=$log.tsan:halt_on_error=0:second_deadlock_stack=1" \
			timeout -k 10 "$((limit * scale))" \
			"${wrapper[@]}" "${command[@]}" </dev/null
	) >"$log" 2>&1
	status=$?
	[ $status != 124 ] || echo "time limit: $((limit * scale)) s" >>"$log"
	left=$(clean_up "$id" "$dir")
	if [ -n "$left" ]; then
		printf '%s\n' "$left" >>"$log"
		[ $status != 0 ] || status=1
	fi
	# A leak or a race does not fail a test by itself; its report does.
	if compgen -G "$log.*san.*" >/dev/null; then
		cat "$log".*san.* >>"$log"
		[ $status != 0 ] || status=1
	fi
	took=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
	if [[ $test == */tests/unit/* && -s $log.tap ]]; then
		counts=$(count_tap "$log.tap")
	else
		counts="0 0 0"
	fi
	# shellcheck disable=SC2086
	set -- "$1" $counts
	local passed=$2 failed=$3 skipped=$4 word=ok note=
	if [ $status = 77 ]; then
		word=skip skipped=1
		note=$(tail -n 1 "$log")
	elif [ $status != 0 ]; then
		word=FAIL
		[ "$failed" -gt 0 ] || failed=1
	elif [ $((passed + failed + skipped)) = 0 ]; then
		passed=1
	fi
	[[ $test != */tests/unit/* ]] || note="$passed tests"
	printf '%d %d %d\n' "$passed" "$failed" "$skipped" >"$results/$1"
	{
		printf '%-5s %-36s %6s s  %s\n' "$word" "$name" "$took" "$note"
		[ $word != FAIL ] || {
			echo "      exit $status; the last lines of ${log#"$top"/}:"
			tail -n 40 "$log" | sed 's/^/      | /'
		}
	} >"$results/text.$1"
	cat "$results/text.$1"
	if [ -n "${KEEP:-}" ]; then
		echo "      kept: $dir"
	else
		chmod -R u+rwX "$dir" 2>/dev/null
		rm -rf --one-file-system "$dir"
	fi
}

number=0
alone=()
for test; do
	if [[ $test == *.sh && -n $(header "$test" alone) ]]; then
		alone+=("$test")
		continue
	fi
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
	number=$((number + 1))
	run_one $number "$test" &
done
wait
for test in "${alone[@]}"; do
	number=$((number + 1))
	run_one $number "$test"
done

[ $number -gt 0 ] || echo "no such test"
cat /dev/null "$results"/[0-9]* 2>/dev/null | awk -v n=$number '
	{ p += $1; f += $2; s += $3 }
	END {
		f += n - NR		# a runner that died
		printf "%d passed, %d failed, %d skipped\n", p, f, s
		exit f > 0 || p + s == 0
	}'
