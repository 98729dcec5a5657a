# SPDX-License-Identifier: LGPL-2.1-or-later
"""
bus-listener.py SOCKET: connects to the daemon's private bus and says what signals come, one a
line, without a library that would want more of a bus; first "ready", last "closed".
"""

import os
import socket
import sys

bus = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
bus.connect(sys.argv[1])
bus.sendall(b"\0AUTH EXTERNAL %s\r\nBEGIN\r\n" % str(os.getuid()).encode().hex().encode())
while b"\r\n" not in bus.recv(4096):
    pass
print("ready", flush=True)
while True:
    data = bus.recv(65536)
    if not data:
        print("closed", flush=True)
        break
    for name in (b"RoundFinished", b"Alert"):
        if name in data:
            print(name.decode(), flush=True)
