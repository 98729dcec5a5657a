#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# git: a history is made, packed with threads, cloned over a pipe, merged, searched, broken.
#
#	40-git.sh BUILD

. "$(dirname "$0")/lib.sh"

need git git

# The names of objects depend on everything: content, times, people.
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
export GIT_CONFIG_NOSYSTEM=1

git()
{
	(under git -c init.defaultBranch=main -c pack.threads=4 -c index.threads=4 -c grep.threads=4 \
		-c gc.auto=0 -c advice.detachedHead=false "$@") || echo "status $?"
}

# What is near what depends on the threads, so that the names in it are compared.
packed_slowly()
{
	slowly git -c pack.threads=4 pack-objects --quiet --all --revs --stdout >../slow.pack
	echo "packed slowly, $?"
	command git index-pack ../slow.pack >/dev/null
	command git show-index <../slow.idx | cut -d ' ' -f 2
}

session()
{
	local i

	git init repository
	cd repository || return 1
	mkdir many
	for i in {1..100}; do
		seq $((i * 10)) $((i * 12)) >"many/$i"
	done
	# Of what does not get much smaller.
	head -c 1000000 "$(type -P git)" >large
	git add .
	git commit -q -m first
	printf '#!/bin/sh\necho a hook of git; grep -c . "$1"\n' >.git/hooks/commit-msg
	chmod +x .git/hooks/commit-msg
	for i in 1 2 3; do
		git checkout -q -b "b$i" main
		seq "$i" 5000 >"many/$i"
		git commit -qam "change $i"
	done
	git checkout main
	git merge -q b1 b2
	git merge b3 2>&1
	git log --format='%H %s' --stat --all
	git repack -adf 2>&1
	packed_slowly
	git fsck --full 2>&1
	git grep -c '^1.*0$' | sort | head -n 20
	git clone -q --no-local "$PWD" ../clone
	git -C ../clone rev-parse HEAD
	git -C ../clone log --oneline --graph | head -n 10 | cat
	git diff --stat b1 b3
	git rebase b3 b1 2>&1 | tr '\r' '\n' | grep -v '^Rebasing'
	echo broken >.git/refs/heads/broken
	git for-each-ref 2>&1
	git nonsense
}

matrix git session
claim "it released while it packed" released_in git auto named always
claim "its threads were members" logged '\(git\) joined'
finish
