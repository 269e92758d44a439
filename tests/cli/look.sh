# timeout: 120
# log, show, lineage, query: mounted, and the same unmounted.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/look
mount_volume
mkdir mnt/d
printf 'a\n' >mnt/d/in
# One is told as one.
vouch log mnt/d/in >/dev/null
vouch status mnt >got
grep -q ' 1 version of 1 file, 2 B if each were kept whole' got || fail "status of one file: $(cat got)"
grep -qE '\b1 (seals|files|versions|chunks|packs|entries)\b' got && fail "a plural of one: $(cat got)"
for i in $(seq $((100 * SLOWNESS))); do # until its chunk has settled
	vouch verify mnt --deep >got
	grep -q ' in 0 packs' got || break
	sleep 0.1
done
grep -qE '\b1 (seals|signatures|tiles|packs|entries)\b' got && fail "a plural of one: $(cat got)"
vouch verify mnt --deep | grep -q ' in 1 pack, ' || fail "verify of one pack: $(cat got)"
sort mnt/d/in >mnt/out
vouch lineage mnt/d/in | sed -n '/what was made/,$p' | grep -q '^    out  version 1' ||
	fail "lineage downwards"
mv mnt/d/in mnt/d/moved
printf 'b\n' >>mnt/d/moved
bad=$'x\n\e[31mred\tname'
printf 'c\n' >"mnt/$bad"
ln -s "$bad" mnt/link

# A file's history follows it through its renames.
vouch log mnt/d/moved >got || fail "log: $?"
[ "$(awk '{ print $4 }' got | tr '\n' ' ')" = 'create version rename version ' ] ||
	fail "history: $(cat got)"
grep -q 'd/in -> d/moved' got || fail "no rename in: $(cat got)"
vouch log mnt/d/moved -n 1 >got
[ "$(wc -l <got)" = 1 ] && grep -q 'version 2, 4 B' got || fail "-n 1: $(cat got)"

# Saved as editors do: what was there before is told with it, and who put it away.
for i in 1 2 3; do
	echo "text $i" >mnt/d/.text.new
	mv mnt/d/.text.new mnt/d/text
done
vouch log mnt/d/text >got
[ "$(awk '{ print $4 }' got | tr '\n' ' ')" = "$(printf 'create version rename %.0s' 1 2 3)" ] ||
	fail "what it replaced: $(cat got)"
[ "$(grep -c 'd/.text.new -> d/text, replacing what was there  by mv ' got)" = 2 ] ||
	fail "who replaced it: $(cat got)"
vouch log mnt/d/text -n 4 >got
[ "$(awk '{ print $4 }' got | tr '\n' ' ')" = 'rename create version rename ' ] || fail "-n 4: $(cat got)"
[ "$(vouch log mnt/d/text --format=json | jq -s 'map(select(.kind == "version").inode) | unique | length')" = 3 ] ||
	fail 'three files as JSON'
[ "$(vouch log mnt/d/text -a | awk '{ print $1 }' | sort | uniq -d)" = '' ] || fail 'an entry came twice'
mv mnt/d/text mnt/d/text.away
mkdir mnt/many
for i in $(seq 300); do
	echo "$i" >mnt/many/.new
	mv mnt/many/.new mnt/many/f
done
[ "$(vouch log mnt/many/f | grep -c '  version ')" = 300 ] || fail "300 saves: $(vouch log mnt/many/f | grep -c '  version ')"

# --follow goes on with what replaces the file.
followed() { # N: versions it has shown, soon
	for _ in $(seq $((100 * SLOWNESS))); do
		[ "$(grep -c '  version ' followed)" -ge "$1" ] && return
		sleep 0.1
	done
	fail "followed $1: $(cat followed)"
}
echo 0 >mnt/d/saved
vouch log mnt/d/saved --follow >followed &
follower=$!
followed 1
for i in 1 2; do
	echo "$i $i" >mnt/d/.saved.new
	mv mnt/d/.saved.new mnt/d/saved
	followed $((i + 1))
done
kill $follower
wait $follower 2>/dev/null
[ "$(awk '{ print $1 }' followed | sort | uniq -d)" = '' ] || fail "an entry came twice: $(cat followed)"

vouch log mnt -n 0 >got
[ -s got ] && fail "-n 0 printed"

# Hostile names reach no terminal, and JSON stays JSON.
vouch log mnt >got
grep -q $'\e' got && fail "an escape came through"
grep -qF 'x\x0a\x1b[31mred\x09name' got || fail "the hostile name: $(grep red got)"
vouch log mnt --format=json | jq -e . >/dev/null || fail "log: no JSON"
vouch log mnt --format=json | jq -r 'select(.kind == "create") | .name' |
	grep -q $'\e\\[31mred' || fail "JSON lost the name"
vouch show "mnt/$bad" >got || fail "show of a hostile name"
grep -q $'\e' got && fail "show: an escape came through"

# show: by path, by number.
vouch show mnt/out >got || fail show
number=$(awk '$1 == "entry" { print $2; exit }' got)
grep -q 'd/in\|d/moved' got || fail "show has no inputs: $(cat got)"
vouch show mnt/out --format=json | jq -e '.kind == "version" and .path == "out"' >/dev/null ||
	fail "show --format=json"
(cd mnt && vouch show "$number") >here || fail "show $number inside"
vouch show "$number" vol >there || fail "show $number of the store"
cmp here there || fail "inside and outside differ"
refuse 'no such entry' 1 'there is no entry' vouch show 999999.1 mnt
refuse 'no such file' 1 'never had such a file' vouch show mnt/nothing

# lineage
vouch lineage mnt/out >got || fail lineage
grep -q '^    d/moved  version 1' got || fail "lineage: $(cat got)"
vouch lineage mnt/out --format=json | jq -e '.nodes | length >= 2' >/dev/null ||
	fail "lineage --format=json"
vouch lineage mnt/out --format=dot | grep -q '^digraph' || fail "lineage dot"
refuse 'lineage of a directory' 1 'no version' vouch lineage mnt/d

# query
vouch query mnt "SELECT path FROM files ORDER BY path" --format=csv | tr -d '\r' >got
grep -qx 'd/moved' got || fail "query: $(cat got)"
vouch query mnt "SELECT count(*) AS n FROM versions" --format=json |
	jq -e '.n >= 4' >/dev/null || fail "query as JSON"
refuse 'bad SQL' 1 'line 1, column 8' vouch query mnt 'SELECT nope FROM files'
refuse 'writing SQL' 1 . vouch query mnt 'DELETE FROM files'

# --follow shows what comes.
vouch log mnt -f -n 1 >followed &
follower=$!
for i in $(seq $((100 * SLOWNESS))); do
	[ -s followed ] && break
	sleep 0.1
done
printf 'new\n' >mnt/fresh
for i in $(seq $((100 * SLOWNESS))); do
	grep -q 'fresh  version 1' followed && break
	sleep 0.1
done
grep -q 'fresh  version 1' followed || fail "--follow: $(cat followed)"
kill $follower
wait $follower 2>/dev/null

# Deleted is not forgotten; and unmounted the answers are the same.
rm mnt/out
vouch log mnt/out | tail -n 1 | grep -q 'unlink' || fail "log of what is gone"
vouch log mnt/d/moved --format=json >mounted
vouch sync mnt
umount_volume
vouch log vol d/moved --format=json >unmounted || fail "log unmounted"
cmp mounted unmounted || fail "mounted and unmounted differ"
vouch show vol out | grep -q 'version 1' || fail "show of what is gone, unmounted"
vouch lineage vol out | grep -q 'd/moved' || fail "lineage unmounted"
rm -f vol/index.db*
vouch log vol d/moved --format=json >again || fail "log without an index"
cmp mounted again || fail "without an index it differs"
