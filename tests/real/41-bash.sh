#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bash with job control, on a terminal of its own: jobs stopped, continued, killed, waited for;
# and as a script with pipes, traps, substitutions and here documents.
#
#	41-bash.sh BUILD

. "$(dirname "$0")/lib.sh"

need script bsdutils

cat >"$scratch/jobs" <<'EOF'
set -m
echo "on $(tty | tr 0-9 N)"
sleep 1000 &
one=$!
kill -STOP %1
until [ "$(ps -o stat= -p $one | cut -c1)" = T ]; do :; done
jobs
kill -CONT %1
sh -c 'kill -STOP $$; exit 7'
jobs -s | sed 's/  */ /g'
echo $$ >stands
until [ -e go-on ]; do sleep 0.1; done
fg %2
echo "ended with $?"
kill %1
wait $one
echo "killed, $?"
(exit 9) & wait $!
echo "waited for, $?"
ps -o tpgid= -o pgid= -p $$ | awk '{ print ($1 > 0), ($2 > 0) }'
trap 'echo interrupted' INT
kill -INT $$
coproc cat
echo through the coprocess >&"${COPROC[1]}"
read -r line <&"${COPROC[0]}"
echo "$line"
set +m
disown -a
exit 3
EOF
cat >"$scratch/plain" <<'EOF'
shopt -s lastpipe
trap 'echo at the end $?' EXIT
trap 'echo user signal' USR1
kill -USR1 $$
seq 1000 | while read -r n; do sum=$((sum + n)); done
echo "$sum $(cat <(echo a) <(echo b) | tr '\n' -)"
false | true | (exit 4)
echo "${PIPESTATUS[@]}"
for i in {1..40}; do (exit $((i % 5))) & pids+=($!); done
for pid in "${pids[@]}"; do wait "$pid"; printf '%d' $?; done
echo
declare -A count
for word in $(seq 3000); do count[$((word % 97))]+=x; done
echo "${#count[@]} ${#count[5]}"
cat <<END >/dev/stderr
a complaint of $BASH_SUBSHELL
END
read -r -t 0.1 nothing </dev/zero || echo "read $?"
sh -c 'kill -SEGV $$' || echo "died of $?"
exec 7>&1
echo to seven >&7
no_such_command
ulimit -n 20
ls -l /proc/self/fd | wc -l
exit 6
EOF
# Works after each line, and waits for the next.
cat >"$scratch/lines" <<'EOF'
while read -r line; do
	declare -A seen=()
	for ((i = 0; i < 20000; i++)); do
		seen[$((i % 5003))]+=$i
	done
	all=${seen[*]}
	echo "$line ${#seen[@]} ${#all} $(echo from a child)"
	unset seen all
done
exit 4
EOF
chmod 644 "$scratch"/{jobs,plain,lines}

# `script` makes the terminal; bash below it is what has the hook, and is asked while of its jobs one runs
# and one is stopped.
terminal()
{
	local words

	words=$(declare -p way as HOOK runtime && declare -f under)
	printf '%s\n' "$words" 'under bash --norc --noprofile "$@"' >"$work/lead"
	{
		script -qec "bash '$work/lead' '$scratch/jobs'" /dev/null
		echo $? >"$work/ended"
	} | tr -d '\r' &
	wait_for 60 test -s stands
	meet "$(cat stands)" "the shell"
	: >go-on
	wait $!
	return "$(cat ended)"
}

# Pids, and where the terminal cuts.
normal()
{
	sed -E 's/^\[([0-9]+)\] [0-9]+$/[\1] PID/; s/ [0-9]+ (Terminated|Segmentation)/ PID \1/
		s/: line ([0-9]+): +[0-9]+ /: line \1: PID /'
}

want_status=3
single=yes matrix bash-jobs terminal
claim "it released among its jobs, where it has an agent" released_in bash-jobs named always
want_status=6
matrix bash under bash --norc "$scratch/plain"
want_status=4
single=yes matrix bash-lines in_two bash --norc "$scratch/lines"
claim "it released between two lines, where it has an agent" released_in bash-lines named always
finish
