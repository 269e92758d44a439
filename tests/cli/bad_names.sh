# timeout: 120
# Hostile names and arguments through every verb: nothing that a terminal obeys
# comes out raw, and JSON stays JSON.  And paths that are too long.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/names
mount_volume
names=($'\e[31mred' $'new\nline' $'bad\xff\xfeutf8' $'\x01\x07\x7f' $'\xc2\x9b31m' $'tab\there' '<b>&"' '-rf' $'cr\rover')
raw='[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]'

clean() { # WHAT COMMAND...: neither stream holds what a terminal obeys
	local what=$1
	shift
	timeout 30 "$@" >out 2>err </dev/null
	[ $? -le 2 ] || fail "$what: exit $?"
	if LC_ALL=C grep -qaP "$raw" out err; then
		fail "$what: raw bytes: $(cat -v out err | head -c 600)"
	fi
	iconv -f utf-8 -t utf-8 out >/dev/null 2>&1 || fail "$what: no UTF-8"
}

vouch key show mnt >trust
i=0
for n in "${names[@]}"; do
	sh -c 'echo "$1" >"$2"' "$n" x "mnt/$n"
	mkdir "mnt/d$i"
	cp -- "mnt/$n" "mnt/d$i/$n"
	ln -s -- "$n" "mnt/link$i"
	p=mnt/d$i/$n
	clean "log $i" vouch log "$p"
	clean "show $i" vouch show "$p"
	clean "lineage $i" vouch lineage "$p"
	clean "dot $i" vouch lineage "$p" --format=dot
	clean "prove $i" vouch prove "$p" -o "proof$n"
	# bytes that are no UTF-8 do not pass the daemon's socket: as a file
	[ -e "proof$n" ] || cp -- "mnt/audit/proof/d$i/$n.tlog-proof" "proof$n"
	cp -- "$p" "file$n"
	clean "check $i" vouch check "file$n" "proof$n" --trust trust
	grep -q 'is what was recorded' out || fail "check of ${n@Q}: $(cat out err)"
	clean "vouch-check $i" "$VOUCH_CHECK" "./file$n" "./proof$n" --trust trust
	clean "vouch-check as JSON $i" "$VOUCH_CHECK" "./file$n" "./proof$n" --trust trust --format=json
	expect "JSON of vouch-check $i" jq -e . out
	for verb in log show lineage; do
		clean "$verb as JSON $i" vouch $verb "$p" --format=json
		cp out json
		expect "JSON of $verb $i" jq -e . json
	done
	# as arguments that are wrong
	clean "verb $i" vouch "$n"
	clean "no such file $i" vouch log "mnt/none$n"
	clean "no such store $i" vouch mount "none$n" mnt
	clean "no such option $i" vouch log "--x$n"
	clean "mount option $i" vouch mount vol mnt -o "x$n"
	clean "snapshot $i" vouch snapshot mnt "s$n"
	clean "restore $i" vouch restore "$p" --at "x$n"
	clean "query $i" vouch query mnt "SELECT '$n' FROM nope$n"
	clean "query result $i" vouch query mnt "SELECT path AS \"c$i\" FROM files WHERE inode = $(stat -c %i "$p")"
	clean "key $i" vouch key revoke vol "$n" --reason "$n"
	clean "replica $i" vouch replica add mnt "$PWD/none/$n/x"
	clean "origin $i" vouch init "store$i" --origin="o$n"
	i=$((i + 1))
done
vouch snapshot mnt s1 >/dev/null || fail snapshot
clean 'the whole log' vouch log mnt
clean 'the whole log as JSON' vouch log mnt --format=json
clean status vouch status mnt
clean 'all files' vouch query mnt 'SELECT path, name FROM files'
clean 'all programs' vouch query mnt 'SELECT argv, command FROM actors'
clean 'restore the tree' vouch restore mnt/d0 --at s1
clean verify vouch verify mnt --deep
clean umount vouch umount "none$(printf '\e[31m')"

# --- too long
long=$(printf 'n%.0s' $(seq 256))
touch "mnt/$long" 2>err && fail 'a name of 256 bytes'
grep -q 'File name too long' err || fail "256 bytes: $(cat err)"
touch "mnt/${long%n}" || fail 'a name of 255 bytes'
very=$(printf 'd%.0s' $(seq 5000))
ln -s "$very" mnt/long 2>/dev/null && fail 'a link of 5000 bytes'
for verb in "log mnt/$very" "show mnt/$very" "verify $very" "mount $very mnt" "init $very" \
	"export vol $PWD/$very" "replica add mnt $PWD/$very"; do
	refuse "too long: ${verb%%dddd*}" 1 'too long' vouch $verb
done
(cd mnt && for _ in $(seq 20); do mkdir "${long%nn}" && cd "${long%nn}" || exit 1; done
	echo deep >f && [ "$(cat f)" = deep ] && vouch log f >/dev/null && vouch prove f -o "$TMPDIR_OF_TEST/deep.proof" >/dev/null) ||
	fail 'a deep directory'
echo deep >deep
expect 'a proof from deep below' vouch check deep deep.proof --trust trust

refuse 'a set without an end' 2 'a \[ has no \]' vouch retain set mnt 'a[b' --for=1d
refuse 'a hold of such' 2 'a \[ has no \]' vouch hold add mnt '[' --reason=x
refuse 'a guard of such' 2 'a \[ has no \]' vouch run --in mnt --hide '**/[a' -- true
refuse 'a replica in a volume' 1 'lies in a mounted volume' vouch replica add mnt mnt/replica
[ ! -e mnt/replica ] || fail 'the refused replica left its directory'

# --- who may not
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && setpriv --reuid 65534 --clear-groups test -x "$PWD"; then
	as() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
	umount_volume
	for verb in 'mount vol mnt' 'verify vol' 'status vol' 'log vol' 'fsck vol' 'key show vol' 'snapshot vol s9' \
		'adopt vol' 'init vol3'; do
		refuse "nobody: $verb" 1 'Permission denied' as "$VOUCH" $verb
	done
	mount_volume
	refuse 'nobody: the socket' 1 'only root can ask the daemon of .*; for you there is audit/ in its mount' as "$VOUCH" sync "$PWD/mnt"
fi
umount_volume
expect 'nothing was lost' vouch verify vol --deep
expect fsck vouch fsck vol
