# run_lib.sh: sourced by the scripts about runs, after lib.sh: what the log
# says of who did what.

# log_read: the log as it is by now, in log.jsonl
log_read() {
	vouch sync mnt || fail "sync"
	vouch log vol --all --format=json >log.jsonl || fail "log"
}

# who NAME: the run and how it is known, of whoever made NAME; "- -" for none
who() {
	jq -rs --arg n "$1" '
		(map(select(.kind == "actor")) | map({ key: .leaf, value: . }) |
			from_entries) as $a |
		map(select(.kind == "create" and .name == $n)) | last |
		$a[.actor] | "\(.run // "-") \(.run_by // "-")"' log.jsonl
}

# versions_of PATH: the runs of each version of a file, in order
versions_of() {
	jq -rs --arg p "$1" '
		(map(select(.kind == "actor")) | map({ key: .leaf, value: . }) |
			from_entries) as $a |
		map(select(.kind == "version" and .path == $p)) | .[] |
		$a[.actor].run // "-"' log.jsonl
}

# run_id NAME: the id of the last run of that name
run_id() {
	jq -rs --arg n "$1" 'map(select(.kind == "run-start" and .name == $n)) |
		last | .run // "none"' log.jsonl
}

# run_end NAME: how it ended, "exit 3"
run_end() {
	jq -rs --arg r "$(run_id "$1")" 'map(select(.kind == "run-end" and
		.run == $r)) | map("\(.how) \(.status)") | join(", ")' log.jsonl
}

# run_parent NAME: the run that its wrapper was in
run_parent() {
	jq -rs --arg r "$(run_id "$1")" '
		(map(select(.kind == "actor")) | map({ key: .leaf, value: . }) |
			from_entries) as $a |
		map(select(.kind == "run-start" and .run == $r)) | last |
		$a[.actor].run // "-"' log.jsonl
}

# opened_by NAME: how many versions the run's processes wrote down as opened
opened_by() {
	jq -rs --arg r "$(run_id "$1")" '
		(map(select(.kind == "actor" and .run == $r) |
			{ key: .leaf, value: 1 }) | from_entries) as $a |
		map(select(.kind == "reads" and $a[.actor]) | .opened | length) |
		add // 0' log.jsonl
}

# until_there FILE: waits for it
until_there() {
	local i
	for ((i = 0; i < 200 * SLOWNESS; i++)); do
		[ ! -e "$1" ] || return 0
		sleep 0.05
	done
	fail "$1 does not come"
}

# Is there a cgroup of version two, and may we make one in it?
own_cgroup() {
	vouch run --format=json --in mnt -- true 2>&1 >/dev/null |
		grep -q '"kept_apart_by":"cgroup"'
}
