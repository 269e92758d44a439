# timeout: 120
# The options of each verb are the same in `vouch help VERB`, in vouch(1) and
# in what the shell completes.
failures=0
fail() { echo "FAIL: $*" >&2; failures=$((failures + 1)); }

sed 's/\\-/-/g; s/\\&//g' "$TOP/man/vouch.1" >page.1

# The options that the help lists: the long form, else the letter.
of_help() {
	sed -n '/^$/,$p' said |
		sed -nE 's/^ +(-[A-Za-z], +)?(--[a-z-]+).*/\2/p; t; s/^ +(-[A-Za-z])( .*|$)/\1/p' |
		grep -vx -- --help | sort -u
}
# Those that the usage lines show, letters as they stand.
of_usage() {
	sed '/^$/,$d' said | grep -oE -- '(^|[[| ])(--[a-z-]+|-[A-Za-z])([]=| ]|$)' |
		grep -oE -- '--[a-z-]+|-[A-Za-z]' | sort -u
}
# Those that the page has in the items of VERB; words of others' are said with
# the others' name before them.
of_page() {
	echo --format # below, of all
	awk -v verb="$1" '
		/^\.It Nm Cm / { mine = $4 == verb }
		/^\.S[hs] / { mine = 0 }
		/^\.Cm [a-z-]+ Fl/ { next }
		mine { sub(/^\./, ""); n = split($0, w, /[ \t]+/)
			for (i = 1; i < n; i++)
				if (w[i] == "Fl") {
					f = w[i + 1]
					print (f ~ /^-/ ? "-" f : "-" f)
				} }' page.1 | sed 's/[],.;:)]*$//' | grep -vx -- --
} # sorted by long()

grep -A 3 '^\.Fl -format' page.1 | grep -q 'Cm json' || fail "vouch.1 does not tell of --format"
verbs=$(vouch --help | awk '/^  [a-z-]+  +[^ ]/ { print $1 }')
. "$TOP/mount-tools/completion.bash"
for verb in $verbs; do
	vouch help "$verb" >said
	of_help >help
	of_usage >usage
	of_page "$verb" >page
	grep -qx -- --format help || sed -i '/^--format$/d' page
	# a letter stands for its long form
	sed -nE 's/^ +(-[A-Za-z]), +(--[a-z-]+).*/\1 \2/p' said >letters
	long() { # the long form where there is one
		awk 'NR == FNR { long[$1] = $2; next } { print ($1 in long) ? long[$1] : $1 }' letters "$1" | sort -u
	}
	long page >page.long
	long usage >usage.long
	missing=$(comm -23 help page.long | tr '\n' ' ')
	[ -z "$missing" ] || fail "vouch.1 does not have these of $verb: $missing"
	extra=$(comm -13 help page.long | tr '\n' ' ')
	[ -z "$extra" ] || fail "vouch.1 has of $verb what its help lacks: $extra"
	extra=$(comm -13 help usage.long | tr '\n' ' ')
	[ -z "$extra" ] || fail "the usage of $verb shows what its help lacks: $extra"
	missing=$(comm -23 help <(_vouch_options "$verb" | sed 's/=$//' | sort -u) | tr '\n' ' ')
	[ -z "$missing" ] || fail "completion lacks of $verb: $missing"
	[ -s help ] && sort -u help >>all
done
[ "$(wc -l <all)" -ge 60 ] || fail "only so many options: $(wc -l <all)"
# every verb is completed, and no other
same=$(_vouch_verbs | sort | tr '\n' ' ')
[ "$same" = "$(tr '\n' ' ' <<<"$verbs")" ] || fail "completion has the verbs $same"
for verb in $(grep -oE '^	[a-z|: -]+\)' "$TOP/mount-tools/completion.bash" | grep -oE '[a-z-]+:' | tr -d : | sort -u); do
	grep -qx "$verb" <<<"$verbs" || fail "completion knows a verb $verb"
done
[ $failures = 0 ]
