#!/usr/bin/python3
"""impacket's SMBConnection in one dialect: library.py PORT USER PASSWORD SHARE DIALECT STEP LOCAL REMOTE

Steps: write (the tree LOCAL to REMOTE), read (REMOTE to LOCAL), change (rename, truncate, delete,
list), remove (everything below REMOTE). Prints nothing but errors; exit code 1 on the first.
"""
import os
import struct
import sys

from impacket.smbconnection import SMBConnection
from impacket.smb3structs import FILE_SHARE_READ, FILE_SHARE_WRITE

FILE_END_OF_FILE_INFORMATION = 20  # MS-FSCC 2.4
ATTRIBUTE_DIRECTORY = 0x10
TRUNCATED_TO = 1000

port, user, password, share, dialect, step, local, remote = sys.argv[1:]
connection = SMBConnection('127.0.0.1', '127.0.0.1', sess_port=int(port), preferredDialect=int(dialect, 16), timeout=60)
connection.login(user, password)
assert connection.getDialect() == int(dialect, 16), 'negotiated %#x' % connection.getDialect()


def on_server(*parts):
    return '\\'.join(part.replace('/', '\\') for part in parts if part not in ('', '.'))


def entries(folder):
    """(name, is a directory) of everything in a folder."""
    found = connection.listPath(share, on_server(folder, '*'))
    return [(e.get_longname(), e.is_directory() != 0) for e in found if e.get_longname() not in ('.', '..')]


def write():
    connection.createDirectory(share, on_server(remote))
    for folder, folders, files in os.walk(local):
        below = os.path.relpath(folder, local)
        for name in folders:
            connection.createDirectory(share, on_server(remote, below, name))
        for name in files:
            with open(os.path.join(folder, name), 'rb') as source:
                connection.putFile(share, on_server(remote, below, name), source.read)


def read(folder=remote, target=local):
    os.makedirs(target, exist_ok=True)
    for name, is_directory in entries(folder):
        if is_directory:
            read(on_server(folder, name), os.path.join(target, name))
        else:
            with open(os.path.join(target, name), 'wb') as sink:
                connection.getFile(share, on_server(folder, name), sink.write)


def change():
    connection.rename(share, on_server(remote, 'one-byte.bin'), on_server(remote, 'renamed é.bin'))
    names = [name for name, _ in entries(remote)]
    assert 'renamed é.bin' in names and 'one-byte.bin' not in names, names
    tree = connection.connectTree(share)
    file = connection.openFile(tree, on_server(remote, 'above-64k.bin'), desiredAccess=0x00120116,
                               shareMode=FILE_SHARE_READ | FILE_SHARE_WRITE)
    connection.getSMBServer().setInfo(tree, file, struct.pack('<Q', TRUNCATED_TO),
                                      fileInfoClass=FILE_END_OF_FILE_INFORMATION)
    connection.closeFile(tree, file)
    connection.disconnectTree(tree)
    sizes = {e.get_longname(): e.get_filesize() for e in connection.listPath(share, on_server(remote, '*'))}
    assert sizes['above-64k.bin'] == TRUNCATED_TO, sizes
    connection.deleteFile(share, on_server(remote, 'renamed é.bin'))
    assert 'renamed é.bin' not in [name for name, _ in entries(remote)]


def remove(folder=remote):
    for name, is_directory in entries(folder):
        if is_directory:
            remove(on_server(folder, name))
        else:
            connection.deleteFile(share, on_server(folder, name))
    connection.deleteDirectory(share, on_server(folder))


{'write': write, 'read': read, 'change': change, 'remove': remove}[step]()
connection.logoff()
