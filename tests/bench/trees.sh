# Source trees: git clone, git status, tar x, and the same tree once more.
# The tree is one that the machine has (TREE=), each round with a line of its
# own in front of each file: what is first is seen for the first time.
# shellcheck shell=bash
set -u
. "$TOP/tests/bench/lib.sh"

tree=${TREE:-/usr/include}
[ -z "${QUICK:-}" ] || tree=${TREE:-/usr/include/linux}
need_space 8000

# Memory keeps no hard links, and nobody wants what a link leads to elsewhere.
cp -r --no-preserve=links "$tree" src && find src ! -type f ! -type d -delete
count=$(find src -type f | wc -l)
kib=$(du -sk --apparent-size src | cut -f1)
echo "tree: $tree, $count files, $((kib >> 10)) MiB"

anew() { # ROUND: src, src.tar and repo
	find src -type f -size +0 -exec sed -i "1i round $1, $RANDOM" {} +
	tar cf src.tar src && rm -rf repo && mkdir repo && cp -r src repo/ &&
		git -C repo init -q && git -C repo config gc.auto 0 &&
		git -C repo config user.name bench &&
		git -C repo config user.email bench@example.org &&
		git -C repo add -A && git -C repo commit -q -m all &&
		git -C repo repack -q -a -d || exit 1
	sync -f .
}

round() { # NUMBER
	local before packs
	row "git clone" file "$count" "native>=0.5" \
		work run git clone -q --no-hardlinks "$here/repo" @/clone
	! asks "git status" || row "git status" file "$count" "native>=0.67" \
		work run git -C @/clone status
	everywhere mkdir @/one @/two
	before=$(stored)
	needed=1 row "tar x" file "$count" "native>=0.5" \
		work run tar xf "$here/src.tar" -C @/one
	figure trees first $(($(stored) - before))
	before=$(stored)
	packs=$(work space vol/packs)
	row "tar x, second copy" file "$count" "" \
		work run tar xf "$here/src.tar" -C @/two
	figure trees second $(($(stored) - before))
	figure trees packs $(($(work space vol/packs) - packs))
	cold
	row "tar c, cold" file "$count" "" work run tar cf - -C @/one .
	everywhere rm -rf @/clone @/one @/two
}

start_all
for ((r = 1; r <= rounds; r++)); do
	anew $r
	round $r
done
fact "second copy of a tree: its speed, of the first's" \
	"$(median "tar x" time.mnt) / $(median "tar x, second copy" time.mnt)" x ">=1.2"
if [ -n "$(median "tar x, second copy" time.mnt)" ]; then
	fact "second copy of a tree: more space, of its size" \
		"100 * $(median trees second) / $kib / 1024" % "<=1"
	fact "second copy of a tree: more space in packs, likewise" \
		"100 * $(median trees packs) / $kib / 1024" %
	fact "first copy of a tree: space, of its size" \
		"100 * $(median trees first) / $kib / 1024" %
	fact "second copy of a tree: space for a file" \
		"$(median trees second) / $count" bytes
fi
finish
