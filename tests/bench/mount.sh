# A mount beside the disk that its store is on: the same work, by the same
# program, done natively in a directory beside the store, on a file system in
# memory (the limit of FUSE, memfs.c), and on vouchfs; in turns, three rounds,
# medians.  Figures are times; what a daemon still does after the work is
# waited for, so it disturbs nobody, and is in its CPU time.
#
#     QUICK=1   small sizes, about a minute
#     W=REGEX   only the rows whose name matches
# shellcheck shell=bash
set -u
. "$TOP/tests/bench/lib.sh"

if [ -n "${QUICK:-}" ]; then
	mib=64 files=1000 lone=40 seconds=1 tree=/usr/include/linux
else
	mib=1024 files=10000 lone=200 seconds=10 tree='/usr/include /usr/share/doc'
fi
rounds=3
available=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
[ "$available" -ge $((mib * 5 / 2)) ] || mib=$((available * 2 / 5))
free=$(df -m --output=avail . | tail -n 1)
[ "$free" -ge $((mib * 12)) ] || { echo "$((mib * 12)) MiB are needed here"; exit 1; }

make_repository() {
	# shellcheck disable=SC2086
	mkdir repo && cp -rL $tree repo/ 2>/dev/null
	git -C repo init -q && git -C repo config gc.auto 0 &&
		git -C repo config user.name bench &&
		git -C repo config user.email bench@example.org &&
		git -C repo add -A && git -C repo commit -q -m all &&
		git -C repo repack -q -a -d
}

one_round() { # NUMBER
	local r=$1 gib=$mib\ MiB
	row "write $gib unique, fsync" MiB $mib work write @/u.$r $mib unique $r
	row "write $gib text, fsync" MiB $mib work write @/t.$r $mib text $r
	cold
	row "read $gib unique, cold" MiB $mib work read @/u.$r
	row "read $gib text, cold" MiB $mib work read @/t.$r
	row "read $gib text, warm" MiB $mib work read @/t.$r
	everywhere rm -f @/u.$r @/t.$r
	row "create $files files of 4 KiB" file $files work files @/f.$r $files 1
	row "create $files, 4 processes" file $files work files @/p.$r $files 4
	row "stat $files files, warm" file $files work walk @/f.$r
	cold
	row "stat $files files, cold" file $files work walk @/p.$r
	row "remove $files files" file $files work remove @/f.$r
	row "create + fsync, lone, p50" file 1 work sync @/s.$r $lone
	row "git clone, $repo_files files" file "$repo_files" \
		work run git clone -q --no-hardlinks "$PWD/repo" @/c.$r
	row "git status" file "$repo_files" work run git -C @/c.$r status
	row "SQLite, 1000 tx at 1000/s" tx 1000 paced @/a.$r 1000 normal
	row "SQLite, 1000 tx, sync each" tx 1000 paced @/b.$r 0 full
	everywhere rm -rf @/p.$r @/s.$r @/c.$r
}

# Time of 1000 transactions.  Nothing is gained by memfs here.
paced() { # FILE RATE full|normal
	[[ $1 != */mem/* ]] || return 77
	transactions "$1" $seconds "$2" "$3" | awk '{ print 1000 / $1 }'
}

# The store as it lies there, verified; beside it, SHA-256 of the same files.
verify_rounds() {
	local r
	vouch umount mnt || return 1
	for ((r = 0; r < rounds; r++)); do
		work run vouch verify vol >>verify.log || return 1
		work hash vol/ledger vol/wal >>verify.log.sha
		work run vouch verify vol --deep >>verify.deep || return 1
		work hash vol/packs vol/ledger vol/wal >>verify.deep.sha
	done
	vouch verify vol --deep --format=json >verify.json || return 1
}

verify_table() {
	local entries bytes
	entries=$(sed 's/.*"entries":\([0-9]*\).*/\1/' verify.json)
	bytes=$(median_of 2 verify.deep.sha)
	printf '\n%s\n' "verify: $entries entries; $((bytes >> 20)) MiB in all"
	awk -v n="$entries" -v b="$bytes" -v logs="$(median_of 1 verify.log)" \
		-v lsha="$(median_of 1 verify.log.sha)" \
		-v deep="$(median_of 1 verify.deep)" \
		-v dsha="$(median_of 1 verify.deep.sha)" 'BEGIN {
		printf "  log and signatures   %.2f s, %.0f entries/s, %.2f x the time of SHA-256 of its files\n",
			logs, n / logs, logs / lsha
		printf "  deep                 %.2f s, %.0f MB/s, %.2f x the time of SHA-256 of all files\n",
			deep, b / deep / 1e6, deep / dsha }'
}

make_repository || { echo "no repository could be made"; exit 1; }
repo_files=$(git -C repo ls-files | wc -l)
start_all || exit 1
for ((round = 1; round <= rounds; round++)); do
	one_round $round
done
table
if [[ verify =~ ${W:-.} ]]; then
	verify_rounds && verify_table || { echo "verify failed"; failed=1; }
fi
exit $failed
