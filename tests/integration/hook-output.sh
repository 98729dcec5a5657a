#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Everyday commands say and return the same with the hook as without, whatever
# MEMGUARD_AGENT= says: output, errors, status, environment.

. "$(dirname "$0")/hook-lib.sh"

commands=$scratch/commands
cat >"$commands" <<'EOF'
echo hello
printf '%s-%d\n' a 1
env -u LD_PRELOAD -u _ | sort
sh -c 'env -u LD_PRELOAD -u _ | sort | env -u LD_PRELOAD sort'
false
exit 7
sh -c 'exit 3'; echo $?
sh -c 'kill -TERM $$'
cat /nowhere/at/all
ls /nowhere/at/all 2>&1; ls -d / /usr
ls /proc/self/fd
sh -c 'ls /proc/self/fd 3</dev/null 7</dev/null'
seq 1 2000 | sort -r | uniq | wc
seq 1 2000 | sed -n '5,7s/^/x/p'
seq 1 100 | awk '{ s += $1 } END { print s }'
seq 1 20 | head -n 3 | tail -n 1
seq 1 20 | tr '\n' ' ' | fold -w 10
seq 1 9 | paste - - -
seq 1 9 | tac | nl
seq 1 50000 | md5sum
seq 1 5 | xargs -n 2 echo
seq 1 5 | tee /dev/null | cksum
echo hook | base64 | base64 -d
echo a:b:c | cut -d: -f2
echo abc | od -c
echo abc | grep -c x
echo abc | grep b
expr 6 \* 7
basename /a/b/c.d .d; dirname /a/b/c
date -u -d @0
id -u; id -g
uname -s
pwd
stat -c '%a %F' /
find /proc/self/ns -maxdepth 1 -name 'u*' | sort
cmp /etc/passwd /etc/passwd; diff /dev/null /etc/passwd >/dev/null; echo $?
dd if=/dev/zero bs=1k count=4 2>/dev/null | cksum
dd if=/dev/zero of=/dev/full bs=1k count=1 2>&1 | head -n 1
tar cf - -C / etc/passwd | tar tf -
gzip -c </etc/passwd | gzip -d | cksum
nice -n 5 nice
timeout 20 sh -c 'exit 4'; echo $?
timeout 0.01 sleep 20; echo $?
sleep 0 & wait $!; echo $?
(exit 5) | cat; echo $?
trap 'echo bye' EXIT; (echo sub); echo main
echo "$(echo nested "$(echo twice)")"
cd / && pwd
ulimit -n; ulimit -s; ulimit -u; ulimit -v
umask
test -t 0; echo $?
yes | head -n 2
EOF
# @1: hooked or env; @2: where to; the command is in $command.
run()
{
	status=0
	(cd "$scratch/work" && "$1" sh -c "$command") \
		</dev/null >"$scratch/$2.out" 2>"$scratch/$2.err" || status=$?
	echo "$status" >"$scratch/$2.status"
}

mkdir "$scratch/work"
n=0
n_different=0
for mode in auto always off; do
	export MEMGUARD_AGENT="$mode"
	while IFS= read -r command; do
		n=$((n + 1))
		run env plain
		run hooked with
		for what in out err status; do
			if ! cmp -s "$scratch/plain.$what" "$scratch/with.$what"; then
				diff -u "$scratch/plain.$what" "$scratch/with.$what" >"$scratch/diff" || :
				fail "MEMGUARD_AGENT=$mode $command: the same $what" "$scratch/diff"
				n_different=$((n_different + 1))
			fi
		done
	done <"$commands"
done

[ "$n" -ge 90 ] || fail "at least 30 commands were compared in 3 modes"
[ "$n_different" -gt 0 ] || pass "row 11, row 12: $n runs gave the same output, errors and status with the hook"

# A comparison that cannot tell a difference proves nothing.
# shellcheck disable=SC2016 # for the shell inside
command='echo $LD_PRELOAD'
run env plain
run hooked with
if cmp -s "$scratch/plain.out" "$scratch/with.out"; then
	fail "the comparison sees a difference where there is one"
else
	pass "the comparison sees a difference where there is one"
fi

exit "$bad"
