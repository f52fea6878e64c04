# fish completion for prog
complete -c prog -f
complete -c prog -n __fish_use_subcommand -a check -d 'check a file'
complete -c prog -n __fish_use_subcommand -a help -d 'say what "a: b" means'
complete -c prog -n 'not __fish_seen_subcommand_from check help' -s f -l use-file -r -F -d 'Configuration file'
complete -c prog -n 'not __fish_seen_subcommand_from check help' -s D -l log-detail -d 'Log more'
complete -c prog -n 'not __fish_seen_subcommand_from check help' -s l -l log-console -d 'Log to the console'
complete -c prog -n 'not __fish_seen_subcommand_from check help' -l log-console-too -d 'A longer name'
complete -c prog -n 'not __fish_seen_subcommand_from check help' -s S -l log-facility -x -d 'Facility'
complete -c prog -n 'not __fish_seen_subcommand_from check help' -s t -l config-test -d 'Check the configuration'
complete -c prog -n 'not __fish_seen_subcommand_from check help' -l format -x -a 'text json' -d 'It'\''s [the] form: of'
complete -c prog -n '__fish_seen_subcommand_from check' -s d -l deep -d 'Look deeper'
complete -c prog -n '__fish_seen_subcommand_from check' -F
complete -c prog -n '__fish_seen_subcommand_from help' -a 'priority preempt'
