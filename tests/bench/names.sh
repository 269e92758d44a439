# Files and names: created, looked at, listed, removed.
# shellcheck shell=bash
set -u
. "$TOP/tests/bench/lib.sh"

files=10000 many=100000
[ -z "${QUICK:-}" ] || { files=1000 many=4000; }
need_space 8000

created() { # ROUND
	local r=$1
	asks "create $files files of 4 KiB" "create $files, 4 processes" "remove $files files" || return
	needed=1 row "create $files files of 4 KiB" file $files "pass>=2 mem>=0.6 req<=5" \
		names make @/a $files 1
	row "create $files, 4 processes" file $files "pass>=2 mem>=0.6 req<=5" \
		names make @/b $files 4
	row "remove $files files" file $files "" names remove @/a
	everywhere rm -rf @/a @/b
}

# gocryptfs would take minutes for so many.
looked_at() { # ROUND
	local r=$1
	cold
	row "stat $many files, cold" file $many "pass>=2 mem>=0.7" names stat @/m $many
	row "stat $many files, warm" file $many "" names stat @/m $many
	cold
	row "readdir + stat $many files, cold" file $many "pass>=2 mem>=0.7" names walk @/m
	row "readdir + stat $many files, warm" file $many "" names walk @/m
	cold
	row "find $many files, cold" file $many "pass>=2 mem>=0.7" work run find @/m
}

start_all
for ((r = 1; r <= rounds; r++)); do
	created $r
done
on="native mem pass mnt"
if asks "stat $many files, cold" "stat $many files, warm" "find $many files, cold" \
	"readdir + stat $many files, cold" "readdir + stat $many files, warm" "rm -r $many files"; then
	everywhere names make @/m $many 1
	for ((r = 1; r <= rounds; r++)); do
		looked_at $r
	done
	row "rm -r $many files" file $many "pass>=2 mem>=0.7" work run rm -r @/m
fi
finish
