#!/usr/bin/python3
"""Runs impacket's smbclient shell (impacket/examples/smbclient.py) on the commands of standard input.

Debian ships the shell as a module and its launcher among the documentation, which small
images leave out; the launcher also knows no port but 139 and 445. This is the same with a port.
shell.py PORT USER PASSWORD; exit code 1 when the shell reported an error.
"""
import logging
import sys

from impacket.examples.smbclient import MiniImpacketShell
from impacket.smbconnection import SMBConnection


class Errors(logging.Handler):
    """Counts what the shell reports as an error and shows it."""
    count = 0

    def emit(self, record):
        if record.levelno >= logging.ERROR:
            Errors.count += 1
            print('error:', record.getMessage())


logging.getLogger().addHandler(Errors())
logging.getLogger('impacket').addHandler(Errors())
port, user, password = sys.argv[1:]
connection = SMBConnection('127.0.0.1', '127.0.0.1', sess_port=int(port), timeout=60)
connection.login(user, password)
shell = MiniImpacketShell(connection)
for line in sys.stdin.read().splitlines():
    shell.onecmd(line)
connection.logoff()
sys.exit(1 if Errors.count else 0)
