# undo_lib.sh: sourced by the scripts in which an undo is overtaken, after
# lib.sh.

# at_work PID: it has its plan and waits for its turn
at_work() {
	local i child
	for ((i = 0; i < 3000; i++)); do
		child=$(cat /proc/"$1"/task/"$1"/children 2>/dev/null)
		for pid in $child; do
			grep -q nanosleep /proc/$pid/wchan 2>/dev/null && return
		done
		sleep 0.02
	done
	fail "undo does not wait for its turn"
}
