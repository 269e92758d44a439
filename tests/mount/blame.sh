#!/bin/bash
# vouch blame: each line, each byte is whose it is, as actors know that wrote
# it: in place, by renaming over it, by making it anew, under another name.
. "$TOP/tests/mount/lib.sh"

SEED=${SEED:-$RANDOM}
STEPS=${STEPS:-30}
echo "SEED=$SEED"
RANDOM=$SEED
new_volume
mount_volume -o allow_other

# by WHO COMMAND: done by a run of that name
by() {
	local who=$1
	shift
	vouch run -q --name "$who" --in=mnt -- sh -c "$*" || fail "$who: $*"
}

# whose ARGUMENT...: the actor of each line or range, one a line
whose() {
	vouch blame "$@" | awk '{ sub(/\..*/, "", $2); print $2 }'
}

# --- lines: what the file holds, and whose each is
lines=() owner=()
for i in $(seq 12); do lines+=("first $i") owner+=(amy); done
f=mnt/text
printf '%s\n' "${lines[@]}" >want
by amy 'cat want >mnt/text'
actors=(amy bob cy dan)
for step in $(seq "$STEPS"); do
	who=${actors[RANDOM % 4]}
	for _ in 1 2; do
		i=$((RANDOM % ${#lines[@]}))
		case $((RANDOM % 3)) in
		0) lines[i]="step $step.$_ $RANDOM" owner[i]=$who ;;
		1)
			lines=("${lines[@]:0:i}" "step $step.$_ $RANDOM" "${lines[@]:i}")
			owner=("${owner[@]:0:i}" "$who" "${owner[@]:i}")
			;;
		*)
			[ ${#lines[@]} -gt 6 ] || continue
			lines=("${lines[@]:0:i}" "${lines[@]:i+1}")
			owner=("${owner[@]:0:i}" "${owner[@]:i+1}")
			;;
		esac
	done
	printf '%s\n' "${lines[@]}" >want
	case $((RANDOM % 5)) in
	0) by "$who" "cat want >$f" ;;
	1) by "$who" "cat want >mnt/.new; mv mnt/.new $f" ;;
	2) by "$who" "rm $f; cat want >$f" ;;
	3) by "$who" "mv $f $f~; cat want >$f; rm $f~" ;;
	*)
		by "$who" "cat want >$f"
		by "${actors[RANDOM % 4]}" "mv $f mnt/text$step"
		f=mnt/text$step
		;;
	esac
done
cmp want $f || fail "the file is another: SEED=$SEED"
printf '%s\n' "${owner[@]}" >owners
whose $f >got
cmp owners got || { paste -d' ' owners got >both; fail "whose lines: SEED=$SEED $(awk '$1 != $2' both | head -3 | tr '\n' ' ')"; }
sed -n 3,5p owners >want
same "some lines" "$(whose $f -L 3,5)" "$(cat want)"
same "so many lines" "$(whose $f -L 3,+3)" "$(cat want)"
same "the text of them" "$(vouch blame $f -L 2 | sed 's/^.*  *2) //')" "${lines[1]}"
vouch blame $f --format=json | jq -e '.unit == "line" and ([.parts[] | .last - .first + 1] | add) == .count' >out ||
	fail "JSON: not every line once"

# as it was, and what the writer had opened
by eve "cat want >/dev/null; cat $f >/dev/null; sed 1d $f >mnt/less"
same "then, not now" "$(whose $f --at eve:start -L 1)" "$(head -1 owners)"
vouch blame mnt/less -L 1 -v >out
grep -q "had opened  ${f#mnt/}  version" out || fail "what was opened: $(cat out)"
grep -q 'signed by mount 1, key [0-9a-f]' out || fail "who signed: $(cat out)"
grep -q 'by    sed 1d' out || fail "the process: $(cat out)"

# --- bytes, in hundreds: overwritten, appended, cut, saved by a rename
unit=100 all=150
owners=()
for ((i = 0; i < all; i++)); do owners+=(amy); done
head -c $((all * unit)) /dev/urandom >native
by amy 'cat native >mnt/bin'
for _ in $(seq $((STEPS / 2))); do
	who=${actors[RANDOM % 4]}
	at=$((RANDOM % ${#owners[@]})) n=$((RANDOM % 30 + 1))
	case $((RANDOM % 6)) in
	0 | 1 | 2)
		head -c $((n * unit)) /dev/urandom >piece
		by "$who" "dd if=piece of=mnt/bin bs=$((n * unit)) seek=$((at * unit)) oflag=seek_bytes conv=notrunc status=none"
		for ((i = at; i < at + n; i++)); do owners[i]=$who; done
		;;
	3)
		by "$who" "head -c $((n * unit)) /dev/urandom >>mnt/bin"
		for ((i = 0; i < n; i++)); do owners+=("$who"); done
		;;
	4)
		[ "$at" -gt 40 ] || continue
		by "$who" "truncate -s $((at * unit)) mnt/bin; truncate -s $(((at + n) * unit)) mnt/bin"
		owners=("${owners[@]:0:at}")
		for ((i = 0; i < n; i++)); do owners+=("$who"); done
		;;
	*) by "$who" 'cp mnt/bin mnt/.bin; mv mnt/.bin mnt/bin' ;;
	esac
done
printf '%s\n' "${owners[@]}" >want
vouch blame mnt/bin | awk '{ sub(/\..*/, "", $2); split($NF, r, "-")
	for (i = r[1]; i <= r[2]; i += 100) print $2 }' >got
cmp want got || fail "whose bytes: SEED=$SEED $(paste -d' ' <(cat -n want) got | awk '$2 != $3' | head -3 | tr '\n' ' ')"
same "some bytes" "$(vouch blame mnt/bin --bytes=1000-1099 | awk '{ sub(/\..*/, "", $2); print $2, $NF }')" \
	"$(sed -n 11p want) 1000-1099"

# what is put before the rest does not take the rest
head -c 400000 /dev/urandom >mnt/long
by cy 'head -c 300 /dev/urandom >mnt/.long; cat mnt/long >>mnt/.long; mv mnt/.long mnt/long'
same "the end is as old as it was" "$(vouch blame mnt/long --bytes=300000-300010 | grep -c 'cy\.')" 0
same "the beginning is new" "$(vouch blame mnt/long --bytes=0-299 | grep -c 'cy\.')" 1

# a text as bytes; nothing; a line without an end
printf 'one\ntwo' >mnt/short
: >mnt/empty
same "as bytes" "$(vouch blame mnt/short --bytes=all | awk '{ print $NF }')" 0-6
same "no end of the last line" "$(vouch blame mnt/short | wc -l)" 2
same "an empty file" "$(vouch blame mnt/empty 2>&1 | wc -l)" "$(vouch log mnt/empty | grep -q ' version ' && echo 0 || echo 1)"

# escapes in a file reach no terminal
printf 'plain\n\033[31mred\n' >mnt/hostile
vouch blame mnt/hostile | grep -q $'\e' && fail "an escape came through"

# questions that have no answer
refuse "a directory" 1 'only regular files' vouch blame mnt
refuse "no such file" 1 'never had such a file' vouch blame mnt/nothing
refuse "not there then" 1 'it was not there at amy.1:start' vouch blame mnt/bin --at amy.1:start
refuse "beyond the end" 1 'it has 2 lines' vouch blame mnt/short -L 9,10
refuse "no range" 2 'lines from 1' vouch blame mnt/short -L 0
refuse "backwards" 2 'FIRST,LAST' vouch blame mnt/short -L 5,2
refuse "no bytes" 2 'bytes from 0, or all' vouch blame mnt/short --bytes=x
refuse "both" 2 'not both' vouch blame mnt/short --bytes=all -L 1
vouch blame $f >got
vouch sync mnt
umount_volume
vouch blame vol "${f#mnt}" >again && cmp got again || fail "another answer when it is not mounted"
