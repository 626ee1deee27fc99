"""
Workers on the same files through two mounts: each adds one to a record that it has locked, and no addition may be lost.
Through O_DIRECT: the kernel writes cached pages back when it likes, also when another has locked them meanwhile, and
SMB's locks refuse that.
"""

import errno
import fcntl
import mmap
import os
import pickle
import random
import struct
import time
import zlib
from collections import Counter

from model import Mismatch

FILES, RECORDS = 2, 4
RECORD_BYTES = 4096
HEAD = struct.Struct('<QI')
BODY_BYTES = (RECORD_BYTES - HEAD.size) // 8 * 8
REPEAT_SECONDS = 240
# A lock is held for milliseconds, a durable handle that no one comes back for keeps its own for a minute.
LOCK_SECONDS = 120
# After the link was cut, so long is a lock waited for before the handle is given up.
UNKNOWN_LOCK_SECONDS = 20


def encode(count):
    body = (count.to_bytes(8, 'little') * (BODY_BYTES // 8))
    return (HEAD.pack(count, zlib.crc32(body)) + body).ljust(RECORD_BYTES, b'\0')


def decode(data):
    """@returns the record's count, or None when it was torn"""
    count, checksum = HEAD.unpack_from(data)
    body = data[HEAD.size:HEAD.size + BODY_BYTES]
    return count if zlib.crc32(body) == checksum and body[:8] == count.to_bytes(8, 'little') else None


def path_of(root, file):
    return os.path.join(root, f'shared{file}')


def lock(fd, offset, is_disturbed):
    """Not by waiting in the kernel: Linux 6.1 waits for ever when the link is cut before the answer comes."""
    began = time.monotonic()
    deadline = began + LOCK_SECONDS
    while True:
        try:
            return fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, RECORD_BYTES, offset)
        except (BlockingIOError, PermissionError):
            # An answer that was lost with the link may have granted it: then the handle, which the server kept, has it
            # without the client's knowing, and only closing it helps.
            if is_disturbed() and time.monotonic() > began + UNKNOWN_LOCK_SECONDS:
                raise OSError(errno.ENOLCK, 'the lock may be our own') from None
            if time.monotonic() > deadline:
                raise Mismatch(f'the record at {offset} stays locked') from None
            time.sleep(0.02)


def prepare(root):
    for file in range(FILES):
        with open(path_of(root, file), 'wb') as made:
            made.write(b''.join(encode(0) for _ in range(RECORDS)))


class Shared:
    def __init__(self, index, seed, root, link):
        self.index = index
        self.random = random.Random(f'{seed}:shared{index}')
        self.root = root
        self.link = link
        self.counts = Counter()
        # By file and record: additions, those of them during which the link was cut, and the count last seen.
        self.added = Counter()
        self.unsure = Counter()
        self.seen = {}
        self.step = ''
        # Memory of a mapping is aligned, as O_DIRECT asks.
        self.buffer = mmap.mmap(-1, RECORD_BYTES)

    def run(self, until):
        fds = {}
        while time.monotonic() < until.value:
            file, record = self.random.randrange(FILES), self.random.randrange(RECORDS)
            if file in fds and self.random.random() < 0.1:
                os.close(fds.pop(file))
            began = time.monotonic()
            try:
                self.step = 'open'
                if file not in fds:
                    fds[file] = os.open(path_of(self.root, file), os.O_RDWR | os.O_DIRECT)
                self.add(fds[file], file, record, began)
            except OSError as error:
                if not self.link.disturbed(began) or time.monotonic() - began > REPEAT_SECONDS:
                    raise Mismatch(f'shared{self.index}, file {file}, record {record}, {self.step}: {error!r}') from error
                # Whether it was written is not known.
                self.unsure[(file, record)] += 1
                self.counts[f'repeated after {error.strerror}'] += 1
                fd = fds.pop(file, None)
                if fd is not None:
                    try:
                        os.close(fd)
                    except OSError:
                        pass
                # Longer than the client delays its CLOSE.
                time.sleep(3)
        for fd in fds.values():
            os.close(fd)

    def add(self, fd, file, record, began):
        offset = record * RECORD_BYTES
        self.step = 'lock'
        lock(fd, offset, lambda: self.link.disturbed(began))
        try:
            self.step = 'read'
            if os.preadv(fd, [self.buffer], offset) != RECORD_BYTES:
                raise Mismatch('a short read')
            count = decode(self.buffer)
            if count is None:
                raise Mismatch(f'record {record} of file {file} is torn')
            key = (file, record)
            if count < self.seen.get(key, 0) and not self.link.disturbed(began):
                raise Mismatch(f'record {record} of file {file} went back from {self.seen[key]} to {count}')
            self.step = 'write'
            self.buffer[:] = encode(count + 1)
            if os.pwrite(fd, self.buffer, offset) != RECORD_BYTES:
                raise Mismatch('a short write')
            self.seen[key] = count + 1
            self.step = 'unlock'
        finally:
            fcntl.lockf(fd, fcntl.LOCK_UN, RECORD_BYTES, offset)
        self.added[key] += 1
        if self.link.disturbed(began):
            # A lock does not outlive the connection of a handle that others have open too.
            self.unsure[key] += 1
        self.counts['operations'] += 1

    def save(self, directory):
        with open(os.path.join(directory, f'shared{self.index}'), 'wb') as file:
            pickle.dump((self.added, self.unsure), file)


def verify(root, results):
    """Compares the records with what all workers added. @returns (additions, of them unsure)"""
    added, unsure = Counter(), Counter()
    for each_added, each_unsure in results:
        added.update(each_added)
        unsure.update(each_unsure)
    for file in range(FILES):
        with open(path_of(root, file), 'rb') as opened:
            data = opened.read()
        for record in range(RECORDS):
            key = (file, record)
            count = decode(data[record * RECORD_BYTES:][:RECORD_BYTES])
            if count is None:
                raise Mismatch(f'record {record} of file {file} is torn')
            if abs(count - added[key]) > unsure[key]:
                raise Mismatch(f'record {record} of file {file} is {count} after {added[key]} additions '
                               f'({unsure[key]} of them while the link was cut)')
    return sum(added.values()), sum(unsure.values())
