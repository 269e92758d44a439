# Every verb: help on standard output with 0; misuse 2 with the usage line on
# standard error; each is in the manual page and in the completion.
failures=0
fail() { echo "FAIL: $*" >&2; failures=$((failures + 1)); }

verbs=$(vouch --help | awk '/^  [a-z-]+  +[^ ]/ { print $1 }')
[ "$(echo "$verbs" | wc -l)" -ge 20 ] || fail "only these verbs: $verbs"
[ "$verbs" = "$(echo "$verbs" | sort)" ] || fail "the table is not sorted"

for verb in $verbs; do
	vouch "$verb" --help >out 2>err || fail "$verb --help gave $?"
	[ -s err ] && fail "$verb --help: on standard error: $(cat err)"
	grep -q "^usage: vouch $verb" out || fail "$verb --help: no usage"
	vouch help "$verb" | cmp -s - out || fail "vouch help $verb is not vouch $verb --help"
	awk 'length > 80' out >wide
	[ -s wide ] && fail "$verb --help is wider than a terminal: $(cat wide)"
	vouch "$verb" --nonsense >out 2>err
	[ $? = 2 ] || fail "$verb --nonsense is not misuse"
	[ -s out ] && fail "$verb --nonsense printed to standard output"
	# the reason first, and not much after it
	head -n 1 err | grep -q "^vouch $verb: unknown option --nonsense" || fail "$verb --nonsense: $(cat err)"
	grep -qE "^usage: vouch $verb|^.vouch help $verb. tells" err || fail "$verb --nonsense: no usage"
	[ "$(wc -l <err)" -le 3 ] || fail "$verb --nonsense: more than three lines: $(cat err)"
	vouch "$verb" a b c d e f >out 2>err
	# of one they are the command
	[ $? = 2 ] || [ "$verb" = run ] || fail "$verb with six arguments is not misuse"
	sed 's/\\-/-/g' "$TOP/man/vouch.1" | grep -q "^\.It Nm Cm $verb\b" ||
		fail "$verb is not in vouch.1"
done

# What is in the page is in the program.
sed -n 's/\\-/-/g; s/^\.It Nm Cm \([a-z-]*\).*/\1/p' "$TOP/man/vouch.1" | sort -u |
	while read -r verb; do
		echo "$verbs" | grep -qx "$verb" || echo "$verb"
	done >extra
[ -s extra ] && fail "vouch.1 tells of $(cat extra)"

vouch --help | awk 'length > 80' >wide
[ -s wide ] && fail "--help is wider than a terminal: $(cat wide)"
vouch >out 2>err
[ $? = 2 ] || fail "no verb is not misuse"
vouch nonsense >out 2>err
[ $? = 2 ] || fail "an unknown verb is not misuse"
vouch $'bad\e[31m\nverb' >out 2>err
grep -q $'\e' err && fail "an escape of the terminal came through"
[ "$(wc -l <err)" = 2 ] || fail "a newline came through"
vouch --version | grep -Eq '^vouch [0-9]' || fail "--version"
vouch --help >/dev/full 2>err && fail "a full disk was no failure"

# Where there is no volume.
mkdir empty
for verb in verify scrub fsck reindex status log 'key show' 'replica list'; do
	vouch $verb empty >out 2>err
	[ $? = 1 ] || fail "$verb of no volume gave no 1"
	grep -q "neither inside a vouchfs mount nor a store" err ||
		fail "$verb of no volume: $(cat err)"
done

# What is missing is named as the usage names it.
while IFS=';' read -r words want; do
	vouch $words >out 2>err
	[ $? = 2 ] || fail "$words: not misuse"
	grep -qF -- "$want" err || fail "$words: no \"$want\" in: $(cat err)"
done <<-'END'
	gc;vouch gc: STORE|DIR is missing
	mount vol;DIR is missing
	query vol;SQL is missing
	hold;say what it shall do
	prove;PATH is missing
	prove --version=0 f;numbered from 1
	gc a b;too many arguments, from b on
END

# Told once, by the one that was asked.
mkdir empty2
vouch mount empty empty2 2>err && fail "mount of no volume"
[ "$(wc -l <err)" = 1 ] && grep -q '^vouch mount: .*no volume here' err || fail "mount of no volume: $(cat err)"

# Completion: it loads, and knows what the program knows.
. "$TOP/mount-tools/completion.bash"
complete_for() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_vouch 2>/dev/null
	echo "${COMPREPLY[*]}"
}
[ "$(complete_for vouch ver)" = verify ] || fail "completing ver"
[ "$(complete_for vouch verify --de)" = --deep ] || fail "completing --de"
[ "$(complete_for vouch lineage --format = d)" = dot ] || fail "completing dot"
[ "$(complete_for vouch key s)" = show ] || fail "completing key s"
[ "$(complete_for vouch replica re)" = 'remove restore' ] ||
	fail "completing replica re: $(complete_for vouch replica re)"
[ "$(complete_for vouch anc)" = anchor ] || fail "completing anc"
[ "$(complete_for vouch lineage --as = s)" = slsa ] || fail "completing slsa"
[ "$(complete_for vouch undo --dr)" = --dry-run ] || fail "completing --dr"
_vouch_mounts() { echo "$PWD/mnt"; }
mkdir -p mnt/audit/runs/make.3 mnt/audit/at/before
for verb in undo diff lineage; do
	[ "$(complete_for vouch $verb ma)" = make.3 ] || fail "completing a run of $verb: $(complete_for vouch $verb ma)"
done
[ "$(complete_for vouch restore f --at = make)" = 'make.3:start make.3:end' ] ||
	fail "completing a time: $(complete_for vouch restore f --at = make)"
[ "$(complete_for vouch blame f --at = be)" = before ] || fail "completing a snapshot"
[ $failures = 0 ]
