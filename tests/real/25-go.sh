#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A Go program, static and without libc: the loader never sees it. The same with cgo: its threads
# are made by pthread_create(), so it is a member.
#
#	25-go.sh BUILD

. "$(dirname "$0")/lib.sh"

need go golang-go

cat >"$scratch/work.go" <<'EOF'
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
)

func job(i int) (sum int) {
	m := map[int]string{}
	for n := 0; n < 20000; n++ {
		m[n*7919%10007] = strings.Repeat("x", n%50+i)
	}
	for _, s := range m {
		sum += len(s)
	}
	return sum + native(i)
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		sums := make([]int, 16)
		var wait sync.WaitGroup
		for i := range sums {
			wait.Add(1)
			go func(i int) { defer wait.Done(); sums[i] = job(i) }(i)
		}
		wait.Wait()
		fmt.Printf("%s %v %x\n", in.Text(), sums, sha256.Sum256([]byte(fmt.Sprint(sums))))
		out, err := exec.Command("sh", "-c", "echo child; exit 6").CombinedOutput()
		fmt.Printf("%s%v\n", out, err)
		got := make(chan os.Signal, 1)
		signal.Notify(got, syscall.SIGUSR1)
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		fmt.Println(<-got)
	}
	fmt.Fprintln(os.Stderr, "a complaint")
	os.Exit(5)
}
EOF
cat >"$scratch/native-go.go" <<'EOF'
package main

func native(i int) int { return 9000 * (i + 1) }
EOF
cat >"$scratch/native-c.go" <<'EOF'
package main

// #include <stdlib.h>
// #include <string.h>
// static size_t native(int i)
// {
//	char *all[100];
//	size_t sum = 0;
//	for (int n = 0; n < 100; n++)
//		memset(all[n] = malloc(90 * (i + 1) + 1), 'y', 90 * (i + 1)), all[n][90 * (i + 1)] = 0;
//	for (int n = 0; n < 100; n++)
//		sum += strlen(all[n]), free(all[n]);
//	return sum;
// }
import "C"

func native(i int) int { return int(C.native(C.int(i))) }
EOF
export GOCACHE=$scratch/go-cache GOFLAGS=-p=2 GO111MODULE=off
mkdir "$HOME"
if ! CGO_ENABLED=0 go build -o "$scratch/go-static" "$scratch/work.go" "$scratch/native-go.go" ||
	! CGO_ENABLED=1 go build -o "$scratch/go-dynamic" "$scratch/work.go" "$scratch/native-c.go"; then
	echo "the programs do not build"
	exit 1
fi
rm -rf "$GOCACHE" "$HOME"

static_session()
{
	start_first "$scratch/go-static"
	wait_for 60 eval '[ "$(readlink "/proc/$server/exe")" = "$scratch/go-static" ]'
	during "it does not carry the hook" eval "! carries $server"
	during "it has no agent, and the daemon knows nothing of it" is_passive "$server"
	during "the daemon says why" told "$server" "statically linked"
	echo second >&9
	exec 9>&-
	wait "$server"
}

want_status=5
matrix go-static static_session
matrix go-dynamic in_two "$scratch/go-dynamic"
claim "with cgo it released when asked" released_in go-dynamic auto named always
claim "both print the same" cmp "$scratch/go-static.plain.out" "$scratch/go-dynamic.plain.out"
finish
