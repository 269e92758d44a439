# timeout: 200
# What people do wrong: each is told what failed, on what and what helps, in a
# line or two; misuse of the command itself is 2, all else 1.
. "$TOP/tests/mount/lib.sh"

new_volume --origin=example/misuse
vouch init other >/dev/null
mkdir mnt2 empty full && touch full/file plain
mount_volume -o allow_other
echo one >mnt/f
mkdir mnt/d && echo two >mnt/d/g
vouch run --in mnt --name made -q -- sh -c ': >mnt/made'
vouch run --in mnt --name twice -q -- sh -c ': >mnt/made'
vouch run --in mnt --name twice -q -- sh -c ': >mnt/made'
expect snapshot vouch snapshot mnt taken

# STATUS;WORDS (a basic expression);COMMAND: of what is said nothing is longer
# than four lines, and nothing is printed to standard output.
table() {
	while IFS=';' read -r status words command; do
		eval "$as vouch $command" >out 2>err </dev/null
		got=$?
		[ $got = "$status" ] || fail "$command gave $got, not $status: $(cat err)"
		head -n 1 err | grep -q -- "$words" || fail "$command: no \"$words\" in: $(cat err)"
		[ "$(wc -l <err)" -le 4 ] || fail "$command says a lot: $(cat err)"
		[ ! -s out ] || fail "$command printed: $(cat out)"
	done
}

as= table <<-'END'
	2;STORE is missing;init
	2;STORE is empty;init ""
	1;other is a volume already: mount it with .vouch mount other DIR;init other
	1;full is not empty: a store is made in a directory of its own;init full
	1;plain: Not a directory;init plain
	1;nodir/x: No such file;init nodir/x
	2;vol/x lies in the store of another volume;init vol/x
	2;mnt/d/x lies in a volume itself, in its mount .*/mnt;init mnt/d/x
	2;cannot be an origin: 1 to 200 characters, no blanks;init x --origin="a b"
	2;DIR is missing;mount vol
	2;STORE is missing;mount
	1;store nothere: No such file;mount nothere mnt2
	1;no volume here .no volume.conf.: make one with .vouch init .*/empty;mount empty mnt2
	1;store plain: Not a directory;mount plain mnt2
	1;mount point nothere: No such file;mount other nothere
	1;mount point plain: Not a directory;mount other plain
	1;/vol is already mounted, on .*/mnt$;mount vol mnt2
	1;/mnt is where .*/vol is mounted: .vouch umount .*/mnt. first;mount other mnt
	1;/vol is the store of a volume: a mount on it would hide it;mount other vol
	2;would hide its store;mount other other
	2;unknown mount option "nonsense";mount other mnt2 -o nonsense
	2;virtual=NAME: one name, without slash;mount other mnt2 -o virtual=a/b
	2;DIR is missing;umount
	1;mnt/d is in the mount on .*/mnt, and no mount itself: .vouch umount .*/vol. unmounts;umount mnt/d
	1;mnt2 is neither inside a vouchfs mount nor a store;umount mnt2
	1;other is not mounted;umount other
	1;nothere does not exist;umount nothere
	1;nothere does not exist;status nothere
	1;plain is neither inside;status plain
	1;empty is neither inside;sync empty
	1;other is not mounted: all of it is durable;sync other
	1;other is not mounted: .vouch mount .*/other DIR. first;runs other
	1;nothere is not inside a vouchfs mount;runs nothere
	2;-n x: no number;runs mnt -n x
	2;--format xml: neither text nor json;runs mnt --format=xml
	1;the volume never had such a file;log mnt/nothere
	2;mnt/f is inside a mount already: it takes no second path;log mnt/f f
	1;there is no entry 99999.0;show 99999.0 mnt
	1;no version: only regular files;lineage mnt/d
	2;--as=x: in-toto, slsa, prov;lineage mnt/f --as=x
	1;/f has no version 99;prove mnt/f --version=99
	1;/nodir/p: No such file;prove mnt/f -o /nodir/p
	2;nobody is trusted yet: give --trust FILE;check plain plain
	1;there is no statement;query mnt ""
	1;line 1, column 8;query mnt "SELECT nope FROM files"
	2;--for is a number, 1 or more;retain set mnt "a/**" --for=0s
	2;--versions is 1 or more;retain set mnt "a/**" --versions=0
	1;no rule has this pattern;retain remove mnt x
	1;no hold in force has this pattern;hold lift mnt x --reason=y
	2;a hold has a --reason;hold add mnt x
	2;--threshold is a percentage;gc mnt --threshold=200
	1;/plain: Not a directory;replica add mnt plain
	1;/full: not empty and no replica of ours;replica add mnt full
	1;lies inside the store: a replica belongs on another disk;replica add mnt vol
	1;/vol is mounted: unmount it first;key rotate vol mount
	2;rubbish: mount or log;key rotate other rubbish
	1;no key zz: .vouch key list .*/vol. has those there are;key show mnt --pem --id=zz
	2;CMD is missing;run --in mnt
	127;nothere: No such file;run --in mnt -- nothere
	126;/etc/passwd: Permission denied;run --in mnt -- /etc/passwd
	125;empty is not inside a vouchfs mount;run --in empty -- true
	2;a name is 1 to 64 of;run --in mnt --name "a b" -- true
	1;no run nobody: .vouch runs --all .*/vol. lists those there are;diff nobody --in=mnt
	2;several runs named twice: say twice.2;diff twice --in=mnt
	2;no snapshot, log position or time;diff --at=nonsense --in=mnt
	1;no run nobody: .vouch runs --all .*/vol. lists those there are;undo nobody --in=mnt
	1;other is not mounted: .vouch mount .*/other DIR. first;undo made --in=other
	2;no snapshot, log position or time;restore mnt/f --at=nonsense
	2;--at=WHEN is missing;restore mnt/f
	1;before the volume was made;restore mnt/f --at=2001-01-01
	1;taken exists already;snapshot mnt taken
	2;a/b: a name starts with a letter and has no /;snapshot mnt a/b
	2;--ref goes with --git;verify mnt --ref=x
	1;/vol is mounted on .*/mnt: unmount it first;fsck mnt
	2;--from goes with --repair;fsck other --from=x
	1;/vol is mounted;reindex vol
	1;/vol is mounted;adopt vol
	2;cannot be an origin;fork other --suffix="a b"
	2;--git=REPO says where to;anchor mnt
	2;unknown verb nonsense;nonsense
	2;unknown verb nonsense;help nonsense
END

# what is hidden by a mount is told, and no failure
vouch mount other full 2>err || fail "mount on a directory with files: $(cat err)"
grep -q '/full is not empty: what is in it is hidden while' err || fail "what is hidden: $(cat err)"
expect "umount it" vouch umount full

# --- an ordinary user, at a volume of root's
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 . && mkdir -p bin && cp "$VOUCH" bin/vouch && chmod 700 other
	anna="setpriv --reuid 4242 --regid 4242 --clear-groups -- env PATH=$PWD/bin:$PATH"
	if $anna vouch --version >/dev/null 2>&1; then
		as=$anna table <<-'END'
			1;other: Permission denied;mount other mnt2
			1;other: Permission denied;status other
			1;/vol: Permission denied;verify mnt
			1;only root can ask the daemon of .*/vol;snapshot mnt x
			1;only root can ask the daemon of .*/vol;umount mnt
			1;only root can ask the daemon of .*/vol;gc mnt
			1;newvol: Permission denied;init newvol
			1;no run made: .vouch runs --all .*/mnt. lists;undo made --in=mnt
		END
		$anna vouch status >out 2>err || fail "status of all gave $?: $(cat err)"
		[ ! -s err ] || fail "status of all says: $(cat err)"
		grep -A 2 "^$PWD/vol: mounted" out | grep -q "mounted on  *$PWD/mnt" || fail "status of all: $(cat out)"
		$anna vouch status --format=json | jq -es 'all(.state == "mounted")' >/dev/null || fail "status of all as JSON"
	fi
fi
[ $failures = 0 ]
