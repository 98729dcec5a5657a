#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Row 43 of the hazards: programs with the hook that CRIU takes down to files and up again. One
# without an agent goes on as if nothing had been, and can still get one. One with an agent CRIU
# takes as well, but for what is the agent's: that leaves, and touches nothing of the program's.
# timeout: 400

. "${PAYLOAD:?runs only in the test VM, see run.sh}/lib.sh"
need_memguard
for program in criu python3; do
	command -v $program >/dev/null || skip "no $program in the image"
done

DIR=/run/criu-test
HOOK=libmemguard-hook.so

# What it keeps it has drawn by lot, so nobody else can tell it. A line on its input has it tell a
# number, one more each time, and a sum over what each of its threads keeps; "thread" adds one.
# With HIGH= it has descriptors where the agent's are, too: files at their beginning and pipes with
# something in them, and tells what is left.
write_subject()
{
	cat >$DIR/subject.py <<-'END'
		import array, fcntl, hashlib, os, queue, sys, termios, threading

		class Keeper:
		    def __init__(self):
		        self.asked, self.told = queue.SimpleQueue(), queue.SimpleQueue()
		        self.blocks = [os.urandom(5000) for _ in range(200)]

		    def tell(self):
		        return hashlib.sha256(b"".join(self.blocks)).hexdigest()

		    def serve(self):
		        while self.asked.get():
		            self.told.put(self.tell())

		first, others, n = Keeper(), [], 0

		def add():
		    others.append(Keeper())
		    threading.Thread(target=others[-1].serve, daemon=True).start()

		def open_high(path):
		    for fd in range(1000, 1016, 2):
		        ours = os.open(path, os.O_RDWR)
		        os.dup2(ours, fd)
		        os.close(ours)
		        out, into = os.pipe()
		        os.write(into, b"for the program itself")
		        os.dup2(out, fd + 1)
		        os.close(out)

		def left():
		    waiting = array.array("i", [0])
		    for fd in range(1000, 1016, 2) if high else ():
		        yield os.lseek(fd, 0, os.SEEK_CUR)
		        fcntl.ioctl(fd + 1, termios.FIONREAD, waiting)
		        yield waiting[0]

		high = os.environ.get("HIGH")
		if high:
		    open_high(high)
		for _ in range(int(sys.argv[1])):
		    add()
		for line in iter(sys.stdin.readline, ""):
		    if line == "thread\n":
		        add()
		    n += 1
		    for other in others:
		        other.asked.put(True)
		    print(n, first.tell(), *[other.told.get() for other in others],
		          *left(), flush=True)
	END
}

# subject NAME THREADS [VARIABLE=VALUE...] : $pid, in a session of its own, with nothing open but
# its input and output. Its environment names nobody.
subject()
{
	local name=$1 threads=$2

	shift 2
	mkdir "$DIR/$name" "$DIR/$name/images"
	mkfifo "$DIR/$name/in"
	setsid env --unset=SYSTEMD_EXEC_PID LD_PRELOAD=$HOOK "$@" python3 $DIR/subject.py "$threads" \
		<>"$DIR/$name/in" >>"$DIR/$name/out" 2>&1 &
	pid=$!
}

has_lines()
{
	[[ $(wc -l <"$DIR/$1/out") -ge $2 ]]
}

# ask NAME [LINE] - what it tells.
ask()
{
	local n

	# Without somebody who reads, to write would wait.
	kill -0 "$pid" || fail "$1 is gone: $(tail -n 1 "$DIR/$1/out")"
	n=$(wc -l <"$DIR/$1/out")
	echo "${2:-}" >"$DIR/$1/in"
	wait_for 60 has_lines "$1" $((n + 1))
	tail -n 1 "$DIR/$1/out"
}

is_known()
{
	members | grep -qx "$pid"
}

has_agent()
{
	grep -qx memguard "/proc/$pid/task/"*/comm
}

has_no_agent()
{
	! has_agent
}

# A pipe that is made anew has another number.
descriptors()
{
	(cd "/proc/$pid/fd" && for fd in *; do echo "$fd $(readlink "$fd")"; done) | sed 's/\[.*\]//'
}

# criu_does VERB NAME [OPTION...]
criu_does()
{
	local verb=$1 name=$2

	shift 2
	criu "$verb" --images-dir "$DIR/$name/images" --log-file "$verb.log" -v4 "$@" || {
		tail -n 40 "$DIR/$name/images/$verb.log"
		fail "criu $verb"
	}
}

# down_and_up NAME : it tells the same afterwards, one number on, and has the same descriptors.
down_and_up()
{
	local before after open

	before=$(ask "$1")
	open=$(descriptors)
	criu_does dump "$1" --tree "$pid"
	wait "$pid" || true
	[[ ! -e /proc/$pid ]] || fail "$pid is still there"
	criu_does restore "$1" --restore-detached
	assert grep -q memguard-hook "/proc/$pid/maps"
	after=$(ask "$1")
	assert_eq "what it keeps" "${after#* }" "${before#* }"
	assert_eq "how often it was asked" "${after%% *}" $((${before%% *} + 1))
	assert_eq "its descriptors" "$(descriptors)" "$open"
}

testcase_0_the_daemon_runs()
{
	mkdir $DIR
	write_subject
	assert systemctl enable --now memguard
}

testcase_1_a_program_with_one_thread()
{
	subject single 0
	ask single
	assert has_no_agent
	down_and_up single
	assert has_no_agent
	assert_not is_known
	# Its first thread brings the agent, as if it had not been away.
	ask single thread
	wait_for 60 is_known
	memguardctl trim "$pid"
	ask single
	kill "$pid"
}

testcase_2_a_program_with_threads_that_may_have_no_agent()
{
	subject off 2 MEMGUARD_AGENT=off
	ask off
	down_and_up off
	ask off thread
	assert has_no_agent
	kill "$pid"
}

# leaves NAME - the agent, and nothing else: what is read and written is the program's own.
leaves()
{
	local open

	wait_for 60 is_known
	down_and_up "$1"
	open=$(descriptors)
	wait_for 60 has_no_agent
	ask "$1"
	assert_eq "its descriptors" "$(descriptors)" "$open"
	assert_not is_known
	kill "$pid"
}

testcase_3_the_agent_leaves_a_program_with_threads()
{
	subject auto 2
	leaves auto
}

testcase_4_and_one_that_has_no_other()
{
	subject always 0 MEMGUARD_AGENT=always
	leaves always
}

testcase_5_also_one_whose_own_descriptors_have_the_numbers_of_its()
{
	head -c 4096 /dev/urandom >$DIR/file
	subject high 2 HIGH=$DIR/file
	wait_for 60 is_known
	assert grep -q '^1000 .*/file$' <(descriptors)
	assert grep -q ' 0 22 0 22' <(ask high)
	leaves high
	assert_eq "what is in its file" "$(stat -c %s $DIR/file)" 4096
}

testcase_6_the_daemon_goes_on()
{
	assert systemctl is-active memguard.service
	systemctl disable --now memguard memguard.socket memguard-control.socket
	rm -r $DIR
}

run_testcases
