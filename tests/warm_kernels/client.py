"""What Jupyter starts as the kernel: has the server fork it, and stands for it until it ends.

python -I client.py SOCKET -f CONNECTION_FILE ...
"""

import json
import os
import signal
import socket
import sys


def main(path, *arguments):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(path)
    request = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
    data = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(link, [data], [0, 1, 2])
    link.sendall(data[sent:])
    replies = link.makefile()
    kernel = int(replies.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: os.kill(kernel, received))
    code = int(replies.readline() or 1)
    if code < 0:  # ended by a signal: so does this
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    sys.exit(code)


main(*sys.argv[1:])
