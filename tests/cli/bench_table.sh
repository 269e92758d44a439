#!/bin/bash
# bench_table.sh: the tables of the benchmarks: medians, ratios, targets met
# and missed, what is not known left out.
set -u
failures=0

same() { # WHAT GOT WANTED
	[ "$2" = "$3" ] || { echo "FAIL: $1: got \"$2\", not \"$3\""; failures=$((failures + 1)); }
}

table() {
	awk -v kind="$1" -v results=results -f "$TOP/tests/bench/table.awk" figures rows facts
}

tab=$'\t'
for t in 3 1 2; do
	echo "make${tab}time.mnt${tab}$t" >>figures
	echo "make${tab}req.mnt${tab}${t}0" >>figures
	echo "make${tab}kind.write${tab}${t}0" >>figures
done
echo "make${tab}time.pass${tab}5" >>figures
echo "make${tab}time.native${tab}1" >>figures
echo "sync${tab}time.mnt${tab}0.001" >>figures
echo "sync${tab}cpu.mnt${tab}0.5" >>figures
printf '%s\n' "make${tab}file${tab}10${tab}pass>=2 mem>=9 req<=1 native>=0.51${tab}" \
	"sync${tab}file${tab}500${tab}rate>=999${tab}1" >rows
printf '%s\n' "space${tab}1.5${tab}x${tab}<=1.4" "speed${tab}2${tab}x${tab}>=2" \
	"told${tab}7${tab}s${tab}" >facts

table time >out || same "exit status" $? 0
same "median, ratios and rate" "$(awk '$1 == "make" { print $2, $3, $4, $6, $8, $9, $10, $13 }' out)" \
	"1000 - 5000 2000 0.50 - 2.50 5"
same "targets; none for memory, which is not there" "$(sed -n 's/^make.*file\/s *//p' out)" \
	"pass>=2 ok, req<=1 MISSED, native>=0.51 MISSED"
same "a row of each" "$(sed -n 's/^sync.*| *//p' out)" "1000 file/s  rate>=999 ok"
same "results" "$(cut -f1-2 results | tr '\t\n' ' ,')" "ok make,MISSED make,MISSED make,ok sync,"
same "requests of each" "$(table cost | awk '$1 == "make" { print $6 }')" 2.00
same "CPU of each" "$(table cost | awk '$1 == "sync" { print $11 }')" 1000.0
same "requests by kind" "$(table requests | sed -n 's/^make *//p')" "write 2.00"
rm results
same "facts" "$(table facts | awk 'NF { print $NF }' | tr '\n' ' ')" "MISSED ok s "
same "results of facts" "$(cut -f1 results | tr '\n' ' ')" "MISSED ok "
exit $((failures > 0))
