#compdef memguardctl
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion of memguardctl(1) for zsh: verbs, options, units, processes.

# Guarded processes and their groups, by the daemon; nothing while it does not run.
_memguardctl_targets() {
  local -a targets expl
  targets=( ${(fu)"$(_call_program targets memguardctl --no-legend --no-pager list 2>/dev/null |
    awk '{ print $1; print $2 }')"} )
  _wanted targets expl 'guarded process or group' compadd -a targets
}

_memguardctl_services() {
  local -a services expl
  services=( ${(f)"$(_call_program services systemctl $user list-unit-files --no-legend --no-pager \
    --type=service 2>/dev/null | awk '$1 !~ /@\.service$/ { print $1 }')"} )
  _wanted services expl service compadd -a services
}

_memguardctl_enabled() {
  local -a services expl
  if (( $#user )); then
    services=( ${XDG_CONFIG_HOME:-~/.config}/systemd/user/*.d/50-memguard.conf(N:h:t:r) )
  else
    services=( /etc/systemd/system/*.d/50-memguard.conf(N:h:t:r) )
  fi
  _wanted services expl 'enabled service' compadd -a services
}

_memguardctl_settings() {
  local -a settings expl
  settings=( ArenaMax MmapThreshold TrimThreshold TopPad DecaySec )
  _wanted settings expl setting compadd -S = -a settings
}

_memguardctl() {
  local curcontext=$curcontext state line
  local -a verbs user
  user=( ${(M)words:#--user} )
  verbs=(
    'status:show the daemon, its groups and what happened last'
    'list:list guarded processes with their last known figures'
    'show:measure processes now and show their heaps'
    'explain:say why memory was released or was not'
    'diagnose:find out why memory grows'
    'history:show past rounds and kills'
    'record:write down facts and decision of a group'
    'trim:make processes give freed memory back now'
    "tune:change settings of a running program's allocator"
    'run:run a command under guard, without a daemon'
    'enable:put services under guard from their next start'
    'disable:take services out of guard from their next start'
    'config:show every setting in force and where it comes from'
    'verify:check the configuration without using it'
    'reload:read the configuration again'
  )

  _arguments -C \
    '(- *)'{-h,--help}'[print help]' \
    '(- *)--version[print the version]' \
    '--runtime-directory=[where the sockets are]:directory:_files -/' \
    "--user[the user's own daemon, and no other; enable, disable, verify\\: the user's own services]" \
    '(-j)--json=[answer in JSON]:format:(short pretty off)' \
    '(--json)-j[answer in JSON]' \
    '--no-pager[do not use a pager]' \
    '--no-legend[no headings and hints]' \
    '--config=[run, verify\: read this file alone]:file:_files' \
    '--hook=[run, enable\: the library to preload]:file:_files' \
    '--limit=[run\: limit the memory]:size:' \
    '--verbose[run\: tell every round]' \
    '--method=[trim, diagnose\: how]:method:(auto full borrow)' \
    '--allocator=[enable\: preload this allocator]:allocator:(jemalloc mimalloc tcmalloc glibc)' \
    '--root=[enable, disable\: change files below this; verify\: look there]:directory:_files -/' \
    '1:verb:->verb' \
    '*::argument:->argument' && return

  case $state in
    verb)
      _describe -t verbs 'verb' verbs
      ;;
    argument)
      case $words[1] in
        list|show|explain|diagnose|history|trim) (( CURRENT == 2 )) && _memguardctl_targets ;;
        record)
          if (( CURRENT == 2 )); then
            _memguardctl_targets
          elif (( CURRENT == 3 )); then
            compadd now last
          fi
          ;;
        tune)
          if (( CURRENT == 2 )); then
            _memguardctl_targets
          else
            _memguardctl_settings
          fi
          ;;
        enable) _memguardctl_services ;;
        disable) _memguardctl_enabled ;;
        verify) (( CURRENT == 2 )) && _files ;;
        run) _normal ;;
      esac
      ;;
  esac
}

_memguardctl "$@"
