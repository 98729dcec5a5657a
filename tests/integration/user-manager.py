# SPDX-License-Identifier: LGPL-2.1-or-later
"""
user-manager.py SOCKET UNITS: on SOCKET what a user's service manager says of the units that have
a file in the directory UNITS, where a link is another name, and of the drop-ins there; who has no
file does not run, UNIT.pid has the number of the main process, and UNIT.tasks how many tasks there are
and may be. Says "reload" when told to.
"""

import os
import socket
import struct
import sys

SOCKET, UNITS = sys.argv[1:]


def pad(data, to):
    return data + bytes(-len(data) % to)


def string(s):
    return struct.pack("<I", len(s)) + s.encode() + b"\0"


def variant(signature, body, before=b""):
    """All values here are aligned to 4: strings, numbers, arrays of strings."""
    return pad(before + bytes([len(signature)]) + signature.encode() + b"\0", 4) + body


def field(code, signature, body):
    return variant(signature, body, bytes([code]))


def answer(kind, serial, signature, body, error=None):
    fields = field(5, "u", struct.pack("<I", serial))
    if error:
        fields = pad(fields, 8) + field(4, "s", string(error))
    if signature:
        fields = pad(fields, 8) + bytes([8, 1]) + b"g\0" + bytes([len(signature)])
        fields += signature.encode() + b"\0"
    head = struct.pack("<cBBBII", b"l", kind, 0, 1, len(body), 1)
    return pad(head + struct.pack("<I", len(fields)) + fields, 8) + body


def read_string(data, at):
    (n,) = struct.unpack_from("<I", data, at)
    return data[at + 4 : at + 4 + n].decode(), at + 5 + n


def aligned(at, to):
    return at + -at % to


def parse(data):
    """Path, member and strings of a call."""
    (n_fields,) = struct.unpack_from("<I", data, 12)
    at, found = 16, {}
    while at < 16 + n_fields:
        at = aligned(at, 8)
        code, at = data[at], at + 1 + 2 + data[at + 1]
        if code == 8:
            n = data[at]
            found[code], at = data[at + 1 : at + 1 + n].decode(), at + n + 2
        else:
            found[code], at = read_string(data, aligned(at, 4))
    body, at, words = data[aligned(16 + n_fields, 8) :], 0, []
    for _ in found.get(8, ""):
        word, at = read_string(body, aligned(at, 4))
        words.append(word)
    return found[1], found[3], words


def dropins(unit):
    """As the manager does: at their places by its own environment."""
    directory = os.path.join(UNITS, unit + ".d")
    files = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    return [os.path.join(directory, file) for file in files]


def environment(unit):
    """Of each variable the last assignment, with quotes around all of it or none."""
    found = {}
    for path in [os.path.join(UNITS, unit)] + dropins(unit):
        with open(path, encoding="utf-8") as file:
            for line in file.read().splitlines():
                if line.startswith("Environment="):
                    text = line.partition("=")[2].strip('"')
                    found[text.partition("=")[0]] = text
    return list(found.values())


def array(strings):
    body = b""
    for text in strings:
        body = pad(body, 4) + string(text)
    return "v", variant("as", struct.pack("<I", len(body)) + body)


def get(unit, name):
    if name == "LoadState":
        known = os.path.exists(os.path.join(UNITS, unit))
        return "v", variant("s", string("loaded" if known else "not-found"))
    if name == "ActiveState":
        known = os.path.exists(os.path.join(UNITS, unit))
        return "v", variant("s", string("active" if known else "inactive"))
    if name == "MainPID":
        path = os.path.join(UNITS, unit + ".pid")
        pid = int(open(path, encoding="utf-8").read()) if os.path.exists(path) else 0
        return "v", variant("u", struct.pack("<I", pid))
    if name in ("TasksCurrent", "TasksMax"):
        path = os.path.join(UNITS, unit + ".tasks")
        text = open(path, encoding="utf-8").read() if os.path.exists(path) else f"{2**64 - 1} {2**64 - 1}"
        n = int(text.split()[name == "TasksMax"])
        return "v", pad(b"\1t\0", 8) + struct.pack("<Q", n)
    if name == "DropInPaths":
        return array(dropins(unit))
    if name == "Environment":
        return array(environment(unit))
    if name == "Id":
        path = os.path.realpath(os.path.join(UNITS, unit))
        return "v", variant("s", string(os.path.basename(path)))
    return None


def reply(path, member, words):
    if member == "LoadUnit":
        return "o", string("/" + words[0].encode().hex())
    if member == "Get":
        return get(bytes.fromhex(path[1:]).decode(), words[1])
    if member == "Reload":
        print("reload", flush=True)
        return "", b""
    return None


def message_size(data):
    if len(data) < 16:
        return None
    (n_body,), (n_fields,) = struct.unpack_from("<I", data, 4), struct.unpack_from("<I", data, 12)
    return aligned(16 + n_fields, 8) + n_body


def serve(peer):
    data, is_open = b"", False
    while chunk := peer.recv(65536):
        data += chunk
        if not is_open:
            if b"BEGIN\r\n" not in data:
                continue
            peer.sendall(b"DATA\r\nOK 00112233445566778899aabbccddeeff\r\nAGREE_UNIX_FD\r\n")
            data, is_open = data.partition(b"BEGIN\r\n")[2], True
        while (size := message_size(data)) and len(data) >= size:
            (serial,) = struct.unpack_from("<I", data, 8)
            said = reply(*parse(data[:size]))
            if said:
                peer.sendall(answer(2, serial, *said))
            else:
                error = "org.freedesktop.DBus.Error.UnknownProperty"
                peer.sendall(answer(3, serial, "", b"", error))
            data = data[size:]


listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(SOCKET)
listener.listen(16)
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    try:
        serve(connection)
    except ConnectionError:
        pass
    connection.close()
