# timeout: 120
# The EXAMPLES of vouch(1), one after the other: each must succeed.
. "$TOP/tests/mount/lib.sh"

sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/s/^\.Dl \$ //p' "$TOP/man/vouch.1" |
	sed 's/\\-/-/g; s/\\&//g' >examples
[ "$(wc -l <examples)" -ge 15 ] || fail "only $(wc -l <examples) examples"
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
