# bash completion for prog
_prog() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} attached= verb=
	if [[ $cur == = ]]; then
		cur= attached==
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD-2]} attached==
	fi
	((COMP_CWORD > 1)) && verb=${COMP_WORDS[1]}
	COMPREPLY=()
	case $verb in
	check)
		case $prev$attached in
		esac
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W '-d --deep' -- "$cur")
		else
			compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		fi ;;
	help)
		case $prev$attached in
		esac
		if [[ $cur == -* ]]; then
			:
		else
			mapfile -t COMPREPLY < <(compgen -W 'priority preempt' -- "$cur")
		fi ;;
	*)
		case $prev$attached in
		-f|--use-file|--use-file=) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
		-S|--log-facility|--log-facility=) :; return ;;
		--config-test=) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
		--format|--format=) mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$cur"); return ;;
		esac
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W '-f --use-file -D --log-detail -l --log-console --log-console-too -S --log-facility -t --config-test --format' -- "$cur")
		elif ((COMP_CWORD == 1)); then
			mapfile -t COMPREPLY < <(compgen -W 'check help' -- "$cur")
		fi ;;
	esac
}
complete -F _prog prog
