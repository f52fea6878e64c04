#compdef prog
_prog() {
	if ((CURRENT > 2)); then
		case $words[2] in
		check)
			shift words; ((CURRENT--))
			_arguments -s \
				'(-d --deep)'{-d,--deep}'[Look deeper]' \
				'*:argument:_files'
			return ;;
		help)
			shift words; ((CURRENT--))
			_arguments -s \
				'*:argument:(priority preempt)'
			return ;;
		esac
	fi
	_arguments -s \
		'(-f --use-file)'{-f+,--use-file=}'[Configuration file]:FILE:_files' \
		'(-D --log-detail)'{-D,--log-detail}'[Log more]' \
		'(-l --log-console)'{-l,--log-console}'[Log to the console]' \
		'--log-console-too[A longer name]' \
		'(-S --log-facility)'{-S+,--log-facility=}'[Facility]:N: ' \
		'(-t --config-test)'{-t-,--config-test=-}'[Check the configuration]::FILE:_files' \
		'--format=[It'\''s \[the\] form\: of]:FORMAT:(text json)' \
		'1:verb:((check\:"check a file" help\:"say what \"a\: b\" means"))'
}
_prog "$@"
