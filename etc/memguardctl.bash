# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion of memguardctl(1) for bash: verbs, options, units, processes.
# shellcheck shell=bash

# Guarded processes and their groups, by the daemon; nothing while it does not run.
__memguardctl_targets()
{
	memguardctl --no-legend --no-pager list 2>/dev/null | awk '{ print $1; print $2 }' | sort -u
}

# [--user]
__memguardctl_services()
{
	systemctl "$@" list-unit-files --no-legend --no-pager --type=service 2>/dev/null |
		awk '$1 !~ /@\.service$/ { print $1 }'
}

__memguardctl_enabled()
{
	local file directory=/etc/systemd/system

	[[ ${1-} == --user ]] && directory=${XDG_CONFIG_HOME:-~/.config}/systemd/user
	for file in "$directory"/*.d/50-memguard.conf; do
		[[ -e $file ]] || continue
		file=${file%.d/50-memguard.conf}
		printf '%s\n' "${file##*/}"
	done
}

_memguardctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local verbs='status list show explain diagnose history record trim tune run enable disable config verify reload'
	local options='--help --version --runtime-directory= --user --json= -j --no-pager --no-legend
		--config= --hook= --limit= --verbose --method= --allocator=
		--root='
	local verb='' i words='' user=()

	COMPREPLY=()
	# bash takes "=" for a word of its own.
	[[ $cur == = ]] && cur=''
	[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}

	[[ " ${COMP_WORDS[*]} " == *' --user '* ]] && user=(--user)

	case $prev in
	--json)
		mapfile -t COMPREPLY < <(compgen -W 'short pretty off' -- "$cur")
		return
		;;
	--config | --hook)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--runtime-directory | --root)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--method)
		mapfile -t COMPREPLY < <(compgen -W 'auto full borrow' -- "$cur")
		return
		;;
	--allocator)
		mapfile -t COMPREPLY < <(compgen -W 'jemalloc mimalloc tcmalloc glibc' -- "$cur")
		return
		;;
	--limit)
		mapfile -t COMPREPLY < <(compgen -W '256M 512M 1G 2G' -- "$cur")
		return
		;;
	esac

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-* | =) ;;
		*)
			[[ ${COMP_WORDS[i - 1]} == = ]] && continue
			verb=${COMP_WORDS[i]}
			break
			;;
		esac
	done

	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
		return
	fi

	case $verb in
	'')
		words=$verbs
		;;
	list | show | explain | diagnose | history | record | trim)
		if ((COMP_CWORD == i + 1)); then
			words=$(__memguardctl_targets)
		elif [[ $verb == record ]]; then
			words='now last'
		fi
		;;
	tune)
		if ((COMP_CWORD == i + 1)); then
			words=$(__memguardctl_targets)
		else
			words='ArenaMax= MmapThreshold= TrimThreshold= TopPad= DecaySec='
			compopt -o nospace
		fi
		;;
	enable)
		words=$(__memguardctl_services "${user[@]}")
		;;
	disable)
		words=$(__memguardctl_enabled "${user[@]}")
		;;
	verify)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	run)
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
		return
		;;
	esac

	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _memguardctl memguardctl
