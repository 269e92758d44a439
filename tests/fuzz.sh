#!/bin/bash
# tests/fuzz.sh BUILD SECONDS [WORD]: fuzzes every target that was built (or
# those whose name contains WORD) for so long, starting from its corpus.  New
# inputs go to BUILD/corpus, what crashes to BUILD/crashes; a crash fails.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1 seconds=$2 word=${3:-}
passed=0 failed=0
mkdir -p "$build/crashes"
for target in "$build"/tests/fuzz/fuzz_*; do
	[[ -x $target && $target == *"$word"* ]] || continue
	name=${target##*/fuzz_}
	mkdir -p "$build/corpus/$name"
	echo "fuzzing $name for $seconds s"
	if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 \
		-verbosity=0 -print_final_stats=1 -max_len=65536 \
		-artifact_prefix="$build/crashes/$name-" \
		"$build/corpus/$name" "tests/fuzz/corpus/$name"; then
		passed=$((passed + 1))
	else
		echo "FAIL $name: the input is in $build/crashes"
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
