#!/bin/bash
# tests/nightly.sh BUILD [WORD]: what is too long for `make check`: the sweeps
# whole, the random tests with new seeds for as long as there is time, a run of
# ten thousand processes, and cosign, which takes ten minutes to build; only the
# parts whose name contains WORD.
#
# MINUTES=n is the time of each of the sixteen parts (60): a sweep that would take
# longer says so, and goes on there the next time, until it was whole.  A random
# test that has begun ends.  SEED=n is the first seed (by date if not given, so
# that each night has its own).  What failed is kept, with its seed, in
# BUILD/nightly.  The last line is the count.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1 word=${2:-}
minutes=${MINUTES:-60}
seed=${SEED:-$(($(date +%Y%m%d) * 1000))}
parts=$(nproc)
kept=$build/nightly
mkdir -p "$kept"
passed=0 failed=0
# a test has as long as its part
export OVERTIME=$((minutes * 60 + 900))
unset SEED MINUTES

chosen() { [[ $1 == *"$word"* ]]; }

# one NAME TEST [VARIABLE=VALUE...]: a test, in its own surroundings
one() {
	local name=$1 test=$2
	shift 2
	if env J=1 "$@" tests/run.sh "$build" "$test" >"$kept/$name.out" 2>&1; then
		passed=$((passed + 1))
		rm -f "$kept/$name.out"
		return
	fi
	failed=$((failed + 1))
	echo "FAIL $name: $*"
	cat "$kept/$name.out"
}

# sweep TEST [VARIABLE=VALUE...]: the whole of it, in parts side by side, from
# where the last run ended
sweep() {
	local test=$1 k pids=() name=${1##*/} out from
	shift
	chosen "$test" || return 0
	[[ "$*" != *ALPHABET=small* ]] || name+=.small
	for k in $(seq "$parts"); do
		out=$kept/$name.$k-of-$parts
		from=$(sed -n 's/.*time was over.*\(FROM=[0-9/]*\) .*/\1/p' \
			"$out.out" 2>/dev/null)
		env PART="$k/$parts" SECONDS_MAX=$((minutes * 60)) "$@" \
			${from:+"$from"} timeout -k 10 $OVERTIME \
			"$build/tests/$test" >"$out.new" 2>&1 &
		pids+=($!)
	done
	for k in $(seq "$parts"); do
		out=$kept/$name.$k-of-$parts
		if wait "${pids[k - 1]}"; then
			passed=$((passed + 1))
			mv "$out.new" "$out.out"
			cat "$out.out"
		else
			failed=$((failed + 1))
			echo "FAIL $test, part $k of $parts: $*"
			mv "$out.new" "$out.failed"
			cat "$out.failed"
		fi
	done
}

# seeds TEST STEP [VARIABLE=VALUE...]: again and again, each with a new seed
seeds() {
	local test=$1 step=$2 end=$((SECONDS + minutes * 60)) n=0 path
	shift 2
	chosen "$test" || return 0
	path=$build/tests/$test
	[[ $test != *.sh ]] || path=tests/$test
	while [ $SECONDS -lt $end ]; do
		one "${test//\//-}.$((seed + n * step))" "$path" \
			SEED=$((seed + n * step)) "$@"
		n=$((n + 1))
	done
	echo "$test: $n runs from SEED=$seed"
}

sweep sweep/sweep_seq ALPHABET=small DEPTH=3 EVERY=1 ALL_WAYS=1
sweep sweep/sweep_seq DEPTH=3 EVERY=1 ALL_WAYS=2 DEEP=32 AGAIN=1024
sweep sweep/sweep_seq_fault ALPHABET=small EVERY=1
sweep sweep/alloc_core STEP=1
seeds sweep/sweep_core 3 STRIDE=5
seeds sweep/full_core 32 SEEDS=32
seeds sweep/sweep_ledger 1
seeds unit/test_core 1
seeds unit/test_content_model 1
seeds mount/model_kernel.sh 1000 OPS=4000
seeds mount/fsx.sh 1 OPS=20000 REMOUNT=4000 PROCESSES=3 ROUNDS=50
seeds mount/undo_random.sh 50 N=50
seeds mount/undo_kill.sh 1 ROUNDS=20
if chosen mount/undo_tools.sh; then
	one undo_tools tests/mount/undo_tools.sh FULL=1
fi
if chosen mount/crash_kill.sh; then
	echo mount/crash_kill.sh
	one crash_kill tests/mount/crash_kill.sh MINUTES="$minutes" \
		SEED=$seed WORKERS=8
	tail -n 1 "$build/log/mount-crash_kill.sh.log"
fi
if chosen mount/run_forks.sh; then
	echo mount/run_forks.sh
	one run_forks tests/mount/run_forks.sh FORKS=10000
fi
if chosen foreign/cosign.sh; then
	echo foreign/cosign.sh
	if (TOP=$PWD && . tests/foreign/lib.sh && make_cosign) \
		>"$kept/cosign.build" 2>&1; then
		one cosign tests/foreign/cosign.sh
	else
		failed=$((failed + 1))
		echo "FAIL cosign does not build"
		tail -n 5 "$kept/cosign.build"
	fi
fi
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
