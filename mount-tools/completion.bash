# bash completion for vouch(1): verbs from `vouch --help`, options from
# `vouch VERB --help`, so that it never lags behind the program.

_vouch_verbs() {
	vouch --help 2>/dev/null | awk '/^  [a-z-]+  +[^ ]/ { print $1 }'
}

_vouch_options() {	# VERB
	vouch "$1" --help 2>/dev/null |
		grep -oE '^ +(-[a-zA-Z], )?--[a-z-]+=?|^ +-[a-zA-Z]\b' |
		grep -oE -- '-(-[a-z-]+=?|[a-zA-Z])'
}

_vouch_mounts() {
	awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "fuse.vouchfs") print $5 }' \
		/proc/self/mountinfo 2>/dev/null
}

# Of the mount where we are, else of all.
_vouch_audit() {	# runs | at
	local dir here
	here=$(_vouch_mounts | while read -r dir; do
		case $PWD/ in "$dir"/*) echo "$dir" ;; esac
	done)
	while read -r dir; do
		[[ -n $dir ]] && ls "$dir/audit/$1" 2>/dev/null
	done <<<"${here:-$(_vouch_mounts)}"
}

_vouch_runs() {
	_vouch_audit runs
}

_vouch_whens() {
	_vouch_audit at
	_vouch_runs | sed 's/$/:start/; p; s/start$/end/'
	echo now yesterday
}

# The words that FUNCTION prints, and files.
_vouch_words_and_files() {	# FUNCTION
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -W "$("$1")" -- "$cur"; compgen -f -- "$cur")
}

_vouch() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local verb=${COMP_WORDS[1]} formats='text json'

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$(_vouch_verbs) --help --version" -- "$cur")
		return
	fi
	# bash breaks words at "=".
	[[ $cur == = ]] && cur=
	[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
	case $verb:$prev in
	lineage:--format) formats='text json dot' ;;&
	lineage:--as)
		mapfile -t COMPREPLY < <(compgen -W 'dot in-toto json mermaid openlineage prov slsa' -- "$cur")
		return
		;;
	query:--format) formats='text csv json' ;;&
	*:--format)
		mapfile -t COMPREPLY < <(compgen -W "$formats" -- "$cur")
		return
		;;
	umount:umount)
		mapfile -t COMPREPLY < <(compgen -W "$(_vouch_mounts)" -- "$cur")
		return
		;;
	runs:runs)
		if [[ $cur != -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(_vouch_mounts)" -- "$cur")
			return
		fi
		;;
	undo:undo)
		if [[ $cur != -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(_vouch_runs)" -- "$cur")
			return
		fi
		;;
	*:--remove)
		if [[ $verb == snapshot ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(_vouch_audit at)" -- "$cur")
			return
		fi
		;;
	diff:diff | lineage:lineage)
		[[ $cur == -* ]] || { _vouch_words_and_files _vouch_runs; return; }
		;;
	restore:--at | blame:--at | diff:--at | diff:--to)
		mapfile -t COMPREPLY < <(compgen -W "$(_vouch_whens)" -- "$cur")
		# bash breaks words at ":", too
		type __ltrim_colon_completions &>/dev/null && __ltrim_colon_completions "$cur"
		return
		;;
	key:--role)
		mapfile -t COMPREPLY < <(compgen -W 'mount replica' -- "$cur")
		return
		;;
	key:--reason)
		mapfile -t COMPREPLY < <(compgen -W 'lost retired stolen' -- "$cur")
		return
		;;
	key:key)
		mapfile -t COMPREPLY < <(compgen -W 'add list revoke rotate show' -- "$cur")
		return
		;;
	retain:retain)
		mapfile -t COMPREPLY < <(compgen -W 'list remove set' -- "$cur")
		return
		;;
	hold:hold)
		mapfile -t COMPREPLY < <(compgen -W 'add lift list' -- "$cur")
		return
		;;
	replica:replica)
		mapfile -t COMPREPLY < <(compgen -W 'add list remove restore sync' -- "$cur")
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_vouch_options "$verb")" -- "$cur")
		[[ ${COMPREPLY[0]:-} == *= ]] && compopt -o nospace 2>/dev/null
		return
	fi
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

complete -F _vouch vouch
