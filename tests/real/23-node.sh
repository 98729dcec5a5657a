#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# node: worker threads, its thread pool, children, a server on loopback.
#
#	23-node.sh BUILD

. "$(dirname "$0")/lib.sh"

node=$(command -v nodejs || command -v node) || skip "no node here: apt-get install nodejs"

cat >"$scratch/work.js" <<'EOF'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), fs = require('fs'), http = require('http'), zlib = require('zlib');
const { execFileSync, spawn } = require('child_process');
const readline = require('readline');

if (!isMainThread) {
	const words = Array.from({ length: 20000 }, (_, i) => String(i * workerData).repeat(3));
	parentPort.postMessage(words.sort().join('').length);
} else {
	const all = n => Promise.all(Array.from({ length: n }, (_, i) => new Promise((resolve, reject) => {
		const worker = new Worker(__filename, { workerData: i + 1 });
		worker.on('message', resolve);
		worker.on('error', reject);
	})));
	const derive = i => new Promise(resolve => crypto.pbkdf2('word', 'salt' + i, 2000, 16, 'sha256',
		(error, key) => resolve(key.toString('hex'))));
	const fetched = () => new Promise(resolve => {
		const server = http.createServer((request, response) => response.end('x'.repeat(1e6)));
		server.listen(0, '127.0.0.1', () => http.get({ port: server.address().port, agent: false }, response => {
			let size = 0;
			response.on('data', data => size += data.length);
			response.on('end', () => server.close(() => resolve(size)));
		}));
	});
	const child = () => new Promise(resolve => spawn('sh', ['-c', 'kill -TERM $$']).on('exit',
		(code, signal) => resolve(signal)));
	(async () => {
		for await (const line of readline.createInterface({ input: process.stdin })) {
			console.log(line, await all(4));
			console.log(await Promise.all([1, 2, 3, 4, 5, 6].map(derive)));
			console.log(zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(4e6, 'memory'))).length);
			console.log(await fetched(), await child());
			console.log(execFileSync('sh', ['-c', 'echo child; env | grep -c ^HOME']).toString());
			await fs.promises.writeFile('file', line);
			console.log(fs.readFileSync('file', 'utf8'));
		}
		console.error('a complaint');
		process.on('exit', () => console.log('at the end'));
		process.exit(5);
	})();
}
EOF
chmod 644 "$scratch/work.js"

want_status=5
# Some builds of it are at a fixed address and point to malloc, calloc, realloc and free.
session()
{
	start_first "$node" "$scratch/work.js"
	be_asked "$server" 2
	during "it is known to have glibc's allocator" known_as "$server" malloc glibc
	echo second >&9
	exec 9>&-
	wait "$server"
}

matrix node session
claim "it released when asked" released_in node auto named always
finish
