#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# OpenSSH's sshd, with PAM: logins with a key as root and as another user, a terminal, sftp
# within sshd, refused logins. Its processes have one thread and change their ids, its
# pre-authentication child sets a system call filter; sessions get a new environment, so
# nothing of the hook in it.
#
#	35-sshd.sh BUILD

. "$(dirname "$0")/lib.sh"

sshd=$(command -v sshd) || skip "no sshd here: apt-get install openssh-server"
need ssh openssh-client
look_for_parting "$sshd"
need_root "as sshd does"
getent passwd postgres | has '/bin/bash$' || skip "no user postgres with a shell here: apt-get install postgresql-15"
if [ ! -d /run/sshd ]; then
	mkdir /run/sshd
	trap 'end_session; rmdir /run/sshd; cleanup' EXIT
fi

make_keys()
{
	ssh-keygen -q -t ed25519 -N '' -f "$work/host"
	ssh-keygen -q -t ed25519 -N '' -f "$work/key"
	ssh-keygen -q -t ed25519 -N '' -f "$work/unknown"
	chmod 755 "$work"
	chmod 644 "$work/key.pub"
	cat >"$work/config" <<-EOF
		Port $port
		ListenAddress 127.0.0.1
		HostKey $work/host
		PidFile none
		UsePAM yes
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		PermitRootLogin prohibit-password
		AuthorizedKeysFile $work/key.pub
		StrictModes no
		PrintMotd no
		PrintLastLog no
		AcceptEnv GREETING
		Subsystem sftp internal-sftp
	EOF
}

# The client is the user's, unhooked.
client_options()
{
	printf '%s\n' -F none -p "$port" -i "$1" -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes
}

login()
{
	local options

	mapfile -t options < <(client_options "${key:-$work/key}")
	# Not stopped by the limit of one way alone: a login that hangs says which it was.
	timeout 60 ssh "${options[@]}" "$@" || echo "status $?"
}

answers()
{
	(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

session()
{
	make_keys
	start "$sshd" -D -e -f "$work/config" 2>"$work/log"
	wait_for 60 answers
	single=yes meet "$server" "the listener"
	during "the listener carries the hook" carries "$server"
	login root@127.0.0.1 'id; echo $-; env | cut -d= -f1 | grep -v ^_ | sort; exit 3'
	GREETING=hello login -o SendEnv=GREETING postgres@127.0.0.1 \
		'id; echo $GREETING; grep -cE "memguard" /proc/self/maps; cat /proc/$PPID/comm; ulimit -c'
	# The parent is the process that serves this user: as that user, with no capability left.
	login postgres@127.0.0.1 'grep -E "^(Uid|Gid|Groups|CapEff|CapPrm|Threads|Seccomp):" /proc/self/status'
	login -tt root@127.0.0.1 'tty | tr 0-9 N; stty -a | grep -o "rows [0-9]*"; kill -TERM $$' | tr -d '\r'
	head -c 3000000 /dev/zero | login root@127.0.0.1 'wc -c; md5sum /etc/debian_version'
	login nobody@127.0.0.1 true
	key=$work/unknown login root@127.0.0.1 true 2>&1
	login nosuchuser@127.0.0.1 true 2>&1
	echo "get /etc/debian_version $work/fetched
		mkdir $work/made
		ls -1 $work/key*" >"$work/batch"
	sftp_batch && cmp "$work/fetched" /etc/debian_version && ls -d "$work/made"
	! has_agent || be_asked "$server"
	wait_for 60 no_sessions
	stop
	log_lines <"$work/log"
}

no_sessions()
{
	! pgrep -P "$server" >/dev/null
}

sftp_batch()
{
	local options

	mapfile -t options < <(client_options "$work/key" | sed 's/^-p$/-P/')
	timeout 60 sftp -q -b "$work/batch" "${options[@]}" root@127.0.0.1
}

# The client's port and the keys are new each time.
log_lines()
{
	sed -E 's/port [0-9]+/port N/g; s/SHA256:[^ ]*/KEY/g; s/\[[0-9]+\]/[N]/g; s/pid [0-9]+/pid N/' |
		sort | uniq -c
}

matrix sshd session
claim "the listener released when asked" released_in sshd always
finish
