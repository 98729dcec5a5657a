#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Python's own tests of threads, signals, processes and the system: each test's result must be
# the same. Compared are results alone: what tests print has addresses, pids and times. A test
# that fails is tried twice more, since some of them measure time and the machine is shared.
#
#	21-python-suite.sh BUILD

. "$(dirname "$0")/lib.sh"

python=/usr/bin/python3        # the one that the tests belong to
[ -x $python ] || skip "no $python here: apt-get install python3"
$python -c 'import test.test_threading' 2>/dev/null ||
	skip "no tests of Python here: apt-get install libpython3.11-testsuite"
need_root "to run it as nobody"
as_user nobody
pause_sec=0.5

cat >"$scratch/run.py" <<'EOF'
import os, re, sys, unittest
import test.support

class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.results = {}

    def note(self, test, what):
        self.results[test.id()] = what

    def addSuccess(self, test):
        self.results.setdefault(test.id(), "ok")

    def addSkip(self, test, reason):
        self.note(test, "skipped")

    def addError(self, test, err):
        self.note(test, "failed")
        print(self._exc_info_to_string(err, test), file=log)

    addFailure = addError

    def addExpectedFailure(self, test, err):
        self.note(test, "fails, as expected")

    def addUnexpectedSuccess(self, test):
        self.note(test, "ok, unexpectedly")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addError(test, err)

def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test

# A suite frees each test after its run; the names are what is left.
def run(names):
    result = Result()
    unittest.defaultTestLoader.loadTestsFromNames(names).run(result)
    return result.results

if __name__ == "__main__":
    log = os.fdopen(os.dup(2), "w")
    # Tests may print where they like; that is not compared.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    unwanted = re.compile(sys.argv[1])
    names = [t.id() for t in flat(unittest.defaultTestLoader.loadTestsFromNames(sys.argv[2:]))]
    results = run([n for n in names if not unwanted.search(n)])
    for again in range(2):
        failed = [n for n, what in results.items() if what == "failed"]
        for name in failed:
            if name in names:
                results.update(run([name]))
    for name in sorted(results):
        print(name, results[name], file=out)
EOF
chmod 644 "$scratch/run.py"

# part NAME UNWANTED TEST... : those of them whose names do not match.
part()
{
	user mkdir "$work/$1"
	(cd "$work/$1" && under "$python" "$scratch/run.py" "${@:2}" >out 2>err)
	echo "$1 ended with $?" >>"$work/$1/out"
}

# All of them; but for one that does nothing but wait for 30 seconds.
session()
{
	local name parts=()

	chmod 777 "$work"
	part threading '^$' test.test_threading &
	parts+=($!)
	part posix '^(?!.*POSIX)' test.test_subprocess &
	parts+=($!)
	part subprocess POSIX test.test_subprocess &
	parts+=($!)
	part signals test_siginterrupt_off test.test_signal test.test_os &
	parts+=($!)
	part multiprocessing '^$' test.test_multiprocessing_fork.WithProcessesTest{Process,Queue,Lock,Pool} \
		test.test_multiprocessing_fork.WithThreadsTestPool \
		test.test_multiprocessing_spawn.WithProcessesTestQueue &
	parts+=($!)
	wait "${parts[@]}"
	for name in threading posix subprocess signals multiprocessing; do
		cat "$work/$name/out"
		grep -q ' failed$' "$work/$name/out" && cp "$work/$name/err" "$scratch/$name.$way.err"
	done
	return 0
}

matrix python session
claim "there were many tests" test "$(grep -c ' ok$' "$scratch/python.plain.out")" -gt 500
claim "members released meanwhile" released_in python auto named always
# What failed without the hook as well: of interest to who reads the log.
sed -n 's/ failed$//; t show; d; :show; s/^/# failed without the hook: /p' "$scratch/python.plain.out"
finish
