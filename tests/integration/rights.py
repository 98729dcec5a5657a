# SPDX-License-Identifier: LGPL-2.1-or-later
"""
On hook.sock as somebody else: rights.py SOCKET asks|impersonates TID. Tells line by line
what came back, and ends with the connection.
"""

import os
import socket
import struct
import sys

# hook_peer.py is beside this file, where 60-rights.sh puts both.
from hook_peer import RECLAIM, STATS, BORROW, LIMIT_SEC, frame, hello, order


def main():
    path, what, tid = sys.argv[1], sys.argv[2], int(sys.argv[3])
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    conn.settimeout(LIMIT_SEC)
    conn.connect(path)
    conn.send(hello(tid))
    print("connected", os.getpid(), flush=True)
    if what == "asks":
        # Questions are the daemon's: a hook that asks is none.
        for question in (frame(STATS, struct.pack("=II", 1, 0)), frame(RECLAIM, order(BORROW))):
            try:
                conn.send(question)
            except BrokenPipeError:
                break
    while True:
        try:
            data = conn.recv(4096)
        except ConnectionResetError:
            data = b""
        if not data:
            print("closed", flush=True)
            return
        verb = struct.unpack("=IHH", data[:8])[2]
        print("got", verb, flush=True)


main()
