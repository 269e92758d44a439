# timeout: 120
# The EXAMPLES of vouch(1), one after the other: each must succeed.
. "$TOP/tests/mount/lib.sh"

sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/s/^\.Dl \$ //p' "$TOP/man/vouch.1" |
	sed 's/\\-/-/g; s/\\&//g' >examples
[ "$(wc -l <examples)" -ge 15 ] || fail "only $(wc -l <examples) examples"
# What README claims beside others, and what tests/README.md says to hold it.
sed -n '/^## Compared with/,/^## Dep/s/^| \([a-z][^|]*[^| ]\) *|.*/\1/p' "$TOP/README.md" >claims
[ "$(wc -l <claims)" -ge 8 ] || fail "claims: $(cat claims)"
while read -r claim; do
	grep -qF "| $claim |" "$TOP/tests/README.md" || fail "no test is said to hold: $claim"
done <claims
sed -n '/^## What holds/,/^## When/p' "$TOP/tests/README.md" | grep -o '`[a-z]*/[a-z_]*\.\(sh\|c\)`' | tr -d '`' |
	while read -r test; do
		[ -f "$TOP/tests/$test" ] || echo "$test"
	done >absent
[ ! -s absent ] || fail "tests/README.md names $(cat absent)"

while read -r line; do
	echo "\$ $line"
	eval "$line" </dev/null 2>err || fail "$line: $(cat err)"
	cat err
done <examples >log
cat log
grep -q 'users  version 1' log || fail "lineage does not name users"
grep -q 'is what was recorded' log || fail "check did not say yes"
grep -q '1 file restored' log || fail "restore"
grep -q '^Would undo of sort-all' log && grep -q '^Undone of sort-all' log || fail "undo"
[ "$(grep -c '^good ' log)" = 2 ] || fail "verify and fsck"
