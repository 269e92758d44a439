#!/bin/bash
# vouch undo against an oracle: others' work alone is left (undo_oracle.py).
# 1074: a link of what was made again in the place of a fifo.  SEEDS="4 5" for
# others; N=100, from SEED on or a random one, for many.
. "$TOP/tests/mount/lib.sh"
command -v python3 >/dev/null || { echo "no python3"; exit 77; }

new_volume
mount_volume
oracle() { python3 "$TOP/tests/mount/undo_oracle.py" "$@"; }
base=${SEED:-$((RANDOM * 32768 + RANDOM))}
seeds=${SEEDS:-"1 2 3 1074"}
[ -z "$N" ] || seeds=$(seq "$base" $((base + N - 1)))
n=0
for seed in $seeds; do
	n=$((n + 1))
	rm -rf mnt/r ref
	oracle make "$seed" && oracle before "$seed" || fail "make: seed $seed"
	vouch run -q --name random --in=mnt -- python3 "$TOP/tests/mount/undo_oracle.py" run "$seed" ||
		fail "run: seed $seed"
	run=random.$n
	setsid -w python3 "$TOP/tests/mount/undo_oracle.py" after "$seed" || fail "after: seed $seed"
	vouch undo $run --in=mnt --dry-run --format=json >plan
	vouch undo $run --in=mnt >out 2>err
	got=$?
	[ $got -le 1 ] && [ ! -s err ] || fail "undo gave $got: $(cat err): seed $seed"
	# what stays by its path before and after, and the names it did not get
	vouch undo $run --in=mnt >again 2>err
	grep -q '^Undone' again && fail "more to undo the second time: $(cat again): seed $seed"
	cat out again | sed -n '/^NOT undone\|^What stays/,$s/^  \([^:]*\): .*/\1/p' >conflicts
	cat out again | sed -n 's/^  [^:]*: not called \([^:]*\) again: .*/\1/p' >>conflicts
	oracle check "$seed" <conflicts >why || fail "seed $seed: $(head -n 5 why; cat conflicts)"
	[ $got = 1 ] || [ ! -s conflicts ] || fail "conflicts and 0: seed $seed"
	grep -q 'changed while this went on\|Undone.*NOT' out && fail "nobody else was there: $(cat out): seed $seed"
	find mnt/r | grep -F .vouch-undo && fail "left on its way: seed $seed"
	if grep -q '^Undone' out; then
		vouch undo "undo.$(ls mnt/audit/runs | sed -n 's/^undo\.//p' | sort -n | tail -n 1)" --in=mnt >out2 2>err ||
			fail "undo of the undo: $(cat out2 err): seed $seed"
		oracle same "$seed" >why || fail "seed $seed: $(head -n 5 why)"
	fi
	[ $failures = 0 ] || exit 1
done
umount_volume
expect "the volume is well" vouch verify vol --deep
