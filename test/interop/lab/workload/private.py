"""A worker on a folder of its own: random operations, each checked against a model in memory."""

import ctypes
import errno
import mmap
import os
import pickle
import random
import time
from collections import Counter, deque

from model import Alias, Directory, File, Mismatch, Model, Symlink, difference

LIBC = ctypes.CDLL('libc.so.6', use_errno=True)
# Without those that move data: Linux 6.1 leaves a page of zeros in its cache after them.
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 0x01, 0x02, 0x10

KIB = 1024
LARGEST_FILE = 384 * KIB
LARGEST_WRITE = 96 * KIB
MOST_FILES, MOST_DIRECTORIES, MOST_HANDLES = 24, 8, 6
DEEPEST = 3
BLOCK = 4 * KIB
LINK_ATTEMPTS = 3
# How long an operation is repeated after the link was cut; the client itself gives up later.
REPEAT_SECONDS = 240
# Names that another mount remembers are renewed after a second (actimeo).
OTHER_SIDE_SECONDS = 10
# Signs that SMB forbids or that clients map, and letters beyond ASCII.
NAMES = ['plain', 'ümläut', '日本語', 'a b', 'q?m*', 'x:y', 'dot.', 'two..dots', '<angle>', 'very-' + 'long' * 30]


class Private:
    def __init__(self, index, seed, root, other_root, link, posix):
        self.random = random.Random(f'{seed}:{index}')
        self.folder = f'private{index}'
        self.root = os.path.join(root, self.folder)
        # The same folder through another mount: another client, as far as the server knows.
        self.other_root = os.path.join(other_root, self.folder)
        self.link = link
        self.posix = posix
        self.model = Model()
        self.handles = []
        self.counts = Counter()
        self.recent = deque(maxlen=12)
        self.serial = 0

    # --- running

    def run(self, until):
        os.mkdir(self.root)
        while time.monotonic() < until.value:
            name, weight = None, None
            operation = self.random.choices(OPERATIONS, WEIGHTS)[0]
            name = operation.__name__
            self.began = time.monotonic()
            try:
                if operation(self) is not False:
                    self.counts['operations'] += 1
                    self.counts[name] += 1
            except (Mismatch, OSError) as error:
                raise Mismatch(f'{self.folder}, operation {self.counts["operations"]} ({name}): {error!r}; '
                               f'before that: {" | ".join(self.recent)}') from error
            self.counts['slowest'] = max(self.counts['slowest'], int(time.monotonic() - self.began))
        for handle in list(self.handles):
            self.close(handle)

    def save(self, directory):
        with open(os.path.join(directory, self.folder), 'wb') as file:
            pickle.dump(self.model, file)

    def at(self, path):
        return os.path.join(self.root, path)

    def note(self, text, node=None):
        self.recent.append(text)
        if isinstance(node, File):
            node.history.append(f'{self.counts["operations"]} {text}')

    def act(self, do, done=lambda: False):
        """
        Does something that must succeed. When the link was cut, an error may be a late answer to something that
        was carried out: `done` tells. Otherwise it is done again.
        """
        while True:
            try:
                return do()
            except OSError as error:
                late = time.monotonic() - self.began > REPEAT_SECONDS
                if late or not self.link.disturbed(self.began):
                    raise
                self.counts[f'repeated after {error.strerror}'] += 1
            time.sleep(0.5)
            if self.probe(done):
                return None

    def probe(self, done):
        while True:
            try:
                return done()
            except OSError:
                if time.monotonic() - self.began > REPEAT_SECONDS:
                    raise
                time.sleep(0.5)

    # --- choices

    def new_path(self):
        parents = [path for path in self.model.paths(Directory) if path.count('/') < DEEPEST - 1]
        parent = self.random.choice(parents)
        self.serial += 1
        name = f'{self.random.choice(NAMES)}{self.serial}'
        return os.path.join(parent, name)

    def some_file(self, direct=None):
        paths = [path for path in self.model.paths(File)
                 if direct is None or self.model.nodes[path].direct == direct]
        return self.random.choice(paths) if paths else None

    def some_handle(self):
        return self.random.choice(self.handles) if self.handles else None

    def is_open(self, node):
        file = node.file if isinstance(node, Alias) else node
        return any(handle[1] is file for handle in self.handles)

    def some_range(self, size):
        offset = self.random.randrange(0, max(1, size))
        return offset, self.random.randrange(1, max(2, min(LARGEST_WRITE, size - offset + 1)))

    def some_data(self):
        length = min(LARGEST_WRITE, int(self.random.lognormvariate(8, 2)) + 1)
        return self.random.randbytes(length)

    # --- files

    def create(self):
        if len(self.model.paths(File)) >= MOST_FILES:
            return False
        path = self.new_path()
        direct = self.random.random() < 0.15
        self.note(f'create {path}' + (' direct' if direct else ''))
        flags = os.O_RDWR | (os.O_DIRECT if direct else 0)
        made = []

        def do():
            made.append(os.open(self.at(path), flags | os.O_CREAT | os.O_EXCL, 0o644))

        self.act(do, lambda: lexists(self.at(path)))
        node = self.model.nodes[path] = File(direct)
        fd = made[0] if made else self.act(lambda: os.open(self.at(path), flags))
        self.handles.append((fd, node))
        self.write_at(fd, node, 0, self.some_data())
        self.limit_handles()

    def open(self):
        path = self.some_file()
        if path is None:
            return False
        node = self.model.nodes[path]
        self.note(f'open {path}', node)
        flags = os.O_RDWR | (os.O_DIRECT if node.direct else 0)
        self.handles.append((self.act(lambda: os.open(self.at(path), flags)), node))
        self.limit_handles()

    def limit_handles(self):
        while len(self.handles) > MOST_HANDLES:
            self.close(self.random.choice(self.handles))

    def close(self, handle):
        self.handles.remove(handle)
        fd, node = handle
        try:
            os.close(fd)
        except OSError as error:
            self.heal(node, error)

    def close_one(self):
        handle = self.some_handle()
        if handle is None:
            return False
        self.note('close', handle[1])
        self.close(handle)

    def heal(self, node, error):
        """A write that was acknowledged into the cache was reported lost: allowed around a cut, and counted."""
        path = next((path for path, other in self.model.nodes.items() if other is node), None)
        if not self.link.disturbed(self.began):
            raise error
        self.counts[f'reported as lost: {error.strerror}'] += 1
        if path is None:
            return

        def rewrite():
            with open(self.at(path), 'r+b') as file:
                file.write(node.data)
                file.truncate(len(node.data))
                file.flush()
                os.fsync(file.fileno())

        self.act(rewrite)

    def write(self):
        handle = self.some_handle()
        if handle is None:
            return False
        fd, node = handle
        offset = self.random.choice([len(node.data), self.random.randrange(0, LARGEST_FILE)])
        self.write_at(fd, node, offset, self.some_data())

    def write_at(self, fd, node, offset, data):
        if node.direct:
            offset -= offset % BLOCK
            data = (data * (BLOCK // len(data) + 1))[:max(BLOCK, len(data) - len(data) % BLOCK)]
        data = data[:max(0, LARGEST_FILE - offset)]
        if not data:
            return
        self.note(f'write {offset}+{len(data)}', node)
        done = 0
        while done < len(data):
            # Memory of a mapping is aligned, as O_DIRECT asks.
            with mmap.mmap(-1, len(data) - done) as buffer:
                buffer[:] = data[done:]
                done += self.act(lambda: os.pwrite(fd, buffer, offset + done))
        if len(node.data) < offset:
            node.data.extend(bytes(offset - len(node.data)))
        node.data[offset:offset + len(data)] = data
        self.counts['bytes written'] += len(data)

    def read(self):
        handle = self.some_handle()
        if handle is None:
            return False
        fd, node = handle
        offset, length = self.some_range(len(node.data))
        if node.direct:
            offset -= offset % BLOCK
            length += -length % BLOCK
        self.note(f'read {offset}+{length}', node)
        with mmap.mmap(-1, length) as buffer:
            count = self.act(lambda: os.preadv(fd, [buffer], offset))
            self.expect(node, buffer[:count], offset, length)

    def expect(self, node, found, offset, length=LARGEST_FILE):
        expected = node.data[offset:offset + length]
        self.counts['bytes verified'] += len(expected)
        problem = difference(expected, found, offset)
        if problem is not None:
            raise Mismatch(f'{self.names_of(node)}: {problem}; its operations: {" | ".join(node.history)}')

    def names_of(self, node):
        names = [path for path, other in self.model.nodes.items() if other is node]
        return f'{names} ({len(node.data)} bytes{", O_DIRECT" if node.direct else ""})'

    def read_by_name(self):
        path = self.some_file(direct=False)
        if path is None:
            return False
        node = self.model.nodes[path]
        self.note(f'read {path}', node)
        self.expect(node, self.act(lambda: contents(self.at(path))), 0)

    def read_by_other_mount(self):
        path = self.some_file()
        if path is None:
            return False
        node = self.model.nodes[path]
        self.note(f'read {path} by the other mount', node)
        other = os.path.join(self.other_root, path)
        deadline = time.monotonic() + OTHER_SIDE_SECONDS
        while True:
            try:
                found = direct_contents(other)
                if found == node.data:
                    self.counts['bytes verified'] += len(found)
                    return None
            except OSError as error:
                found = error
            self.counts['seen late by the other mount'] += 1
            if time.monotonic() > deadline and not self.link.disturbed(self.began):
                if isinstance(found, OSError):
                    raise found
                raise Mismatch(f'{self.names_of(node)} by the other mount: {difference(node.data, found, 0)}; '
                               f'its operations: {" | ".join(node.history)}')
            if time.monotonic() - self.began > REPEAT_SECONDS:
                raise Mismatch(f'{self.names_of(node)} by the other mount, still: '
                               f'{found if isinstance(found, OSError) else difference(node.data, found, 0)}')
            time.sleep(0.1)

    def truncate(self):
        handle = self.some_handle()
        if handle is None:
            return False
        fd, node = handle
        if node.direct:
            return False
        size = self.random.randrange(0, LARGEST_FILE)
        path = next((path for path, other in self.model.nodes.items() if other is node), None)
        by_name = path is not None and self.random.random() < 0.5
        self.note(f'truncate {size}' + (' by name' if by_name else ''), node)
        self.act(lambda: os.truncate(self.at(path), size) if by_name else os.ftruncate(fd, size))
        if size < len(node.data):
            del node.data[size:]
        else:
            node.data.extend(bytes(size - len(node.data)))

    def allocate(self):
        handle = self.some_handle()
        if handle is None or handle[1].direct or not handle[1].data:
            return False
        fd, node = handle
        mode = self.random.choice([PUNCH_HOLE | KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE | KEEP_SIZE, ZERO_RANGE])
        offset, length = self.some_range(len(node.data))
        self.note(f'fallocate {mode:#x} {offset}+{length}', node)

        def do():
            try:
                fallocate(handle[0], mode, offset, length)
            except OSError as error:
                if error.errno == errno.EOPNOTSUPP:
                    self.counts['not supported'] += 1
                    return False
                # Linux 6.1 opens a handle anew for reads and writes, not for this.
                if error.errno == errno.EBADF and self.link.disturbed(self.began):
                    self.close(handle)
                    return False
                raise
            return True

        if not self.act(do):
            return False
        length = min(length, len(node.data) - offset)
        node.data[offset:offset + length] = bytes(length)

    def map(self):
        path = self.some_file(direct=False)
        if path is None or not self.model.nodes[path].data:
            return False
        node = self.model.nodes[path]
        offset, length = self.some_range(len(node.data))
        length = min(length, len(node.data) - offset)
        data = self.random.randbytes(length)
        self.note(f'map {path} {offset}+{length}', node)
        fd = self.act(lambda: os.open(self.at(path), os.O_RDWR))
        try:
            with mmap.mmap(fd, len(node.data)) as view:
                self.expect(node, view[:], 0)
                view[offset:offset + length] = data
                self.act(view.flush)
        finally:
            self.handles.append((fd, node))
        node.data[offset:offset + length] = data
        self.counts['bytes written'] += length
        self.limit_handles()

    def sync(self):
        handle = self.some_handle()
        if handle is None:
            return False
        fd, node = handle
        self.note('fsync', node)
        try:
            os.fsync(fd)
        except OSError as error:
            self.heal(node, error)

    # --- names

    def rename(self):
        paths = [path for path in self.model.nodes if path]
        if not paths:
            return False
        old = self.random.choice(paths)
        node = self.model.nodes[old]
        if isinstance(node, Directory):
            below = [self.model.nodes[path] for path in self.model.nodes if path.startswith(old + '/')]
            if not self.posix and any(self.is_open(other) for other in below):
                # Windows' rule: nothing below it may be open.
                return False
        new = self.new_path()
        if new.startswith(old + '/'):
            return False
        target = self.some_file()
        if isinstance(node, File) and target is not None and self.random.random() < 0.4:
            other = self.model.nodes[target]
            if other is not node and (self.posix or not self.is_open(other)):
                new = target
        if depth_below(self.model, old) + new.count('/') > DEEPEST + 1:
            return False
        self.note(f'rename {old} to {new}')
        self.act(lambda: os.rename(self.at(old), self.at(new)),
                 lambda: not lexists(self.at(old)) and lexists(self.at(new)))
        self.model.rename(old, new)

    def unlink(self):
        paths = self.model.paths((File, Symlink, Alias))
        if not paths:
            return False
        path = self.random.choice(paths)
        node = self.model.nodes[path]
        if not self.posix and self.is_open(node):
            # Windows' rule: the name stays until the last handle is closed.
            return False
        self.note(f'unlink {path}')
        self.act(lambda: os.unlink(self.at(path)), lambda: not lexists(self.at(path)))
        self.model.remove(path)

    def mkdir(self):
        if len(self.model.paths(Directory)) > MOST_DIRECTORIES:
            return False
        path = self.new_path()
        self.note(f'mkdir {path}')
        self.act(lambda: os.mkdir(self.at(path)), lambda: lexists(self.at(path)))
        self.model.nodes[path] = Directory()

    def rmdir(self):
        paths = [path for path in self.model.paths(Directory) if path]
        if not paths:
            return False
        path = self.random.choice(paths)
        self.note(f'rmdir {path}')
        if self.model.children(path):
            try:
                os.rmdir(self.at(path))
            except OSError as error:
                if error.errno == errno.ENOTEMPTY or self.link.disturbed(self.began):
                    return None
                raise
            raise Mismatch(f'a directory with {len(self.model.children(path))} entries was removed')
        self.act(lambda: os.rmdir(self.at(path)), lambda: not lexists(self.at(path)))
        self.model.remove(path)

    def link_file(self):
        old = self.some_file()
        if old is None or len(self.model.paths((File, Alias))) >= MOST_FILES:
            return False
        new = self.new_path()
        self.note(f'link {old} as {new}')
        self.act(lambda: self.link_again(old, new), lambda: lexists(self.at(new)))
        self.model.nodes[new] = Alias(self.model.nodes[old])

    def link_again(self, old, new):
        """
        Linux 6.1 counts a file's names itself until it asks the server again, after a second (actimeo). Of one whose other name
        it removed a moment ago it may believe that none is left, and refuses without a request.
        """
        for attempt in range(1, LINK_ATTEMPTS + 1):
            try:
                return os.link(self.at(old), self.at(new))
            except FileNotFoundError:
                if attempt == LINK_ATTEMPTS or not lexists(self.at(old)):
                    raise
                self.counts['linked later'] += 1
                time.sleep(1.1)

    def symlink(self):
        if len(self.model.paths(Symlink)) >= DEEPEST:
            return False
        path = self.new_path()
        target = f'somewhere/{self.serial}'
        self.note(f'symlink {path}')
        self.act(lambda: os.symlink(target, self.at(path)), lambda: os.path.islink(self.at(path)))
        self.model.nodes[path] = Symlink(target)

    def list(self):
        path = self.random.choice(self.model.paths(Directory))
        self.note(f'list {path}')
        found = sorted(self.act(lambda: os.listdir(self.at(path))))
        expected = self.model.children(path)
        if found != expected:
            raise Mismatch(f'listed {sorted(set(found) ^ set(expected))} too much or too little')

    # --- attributes

    def status(self):
        path = self.some_file()
        if path is None:
            return False
        self.note(f'stat {path}')
        size = self.act(lambda: os.stat(self.at(path))).st_size
        expected = len(self.model.nodes[path].data)
        if size != expected:
            raise Mismatch(f'{path}: stat says {size} bytes, not {expected}')

    def set_times(self):
        path = self.some_file()
        if path is None:
            return False
        # A FILETIME counts 100 ns.
        time_ns = self.random.randrange(10**18, 17 * 10**17) // 100 * 100
        self.note(f'utime {path}')
        self.act(lambda: os.utime(self.at(path), ns=(time_ns, time_ns)))
        found = self.act(lambda: os.stat(self.at(path))).st_mtime_ns
        if found != time_ns:
            raise Mismatch(f'{path}: mtime is {found}, not {time_ns}')

    def change_mode(self):
        if not self.posix:
            return False
        path = self.some_file()
        if path is None:
            return False
        node = self.model.nodes[path]
        mode = self.random.choice([0o600, 0o640, 0o644, 0o755, 0o777])
        self.note(f'chmod {path} {mode:o}')
        self.act(lambda: os.chmod(self.at(path), mode))
        node.mode = mode
        found = self.act(lambda: os.stat(self.at(path))).st_mode & 0o7777
        if found != mode:
            raise Mismatch(f'{path}: mode is {found:o}, not {mode:o}')

    def attribute(self):
        path = self.some_file()
        if path is None:
            return False
        node = self.model.nodes[path]
        name = f'user.w{self.random.randrange(4)}'
        if name in node.attributes and self.random.random() < 0.5:
            self.note(f'removexattr {path} {name}')
            self.act(lambda: os.removexattr(self.at(path), name), lambda: name not in os.listxattr(self.at(path)))
            del node.attributes[name]
        else:
            self.note(f'setxattr {path} {name}')
            value = self.random.randbytes(self.random.randrange(1, 200))
            self.act(lambda: os.setxattr(self.at(path), name, value))
            node.attributes[name] = value
            if self.act(lambda: os.getxattr(self.at(path), name)) != value:
                raise Mismatch(f'{path}: {name} has another value')


OPERATION_WEIGHTS = {
    Private.create: 6, Private.open: 6, Private.close_one: 6, Private.write: 24, Private.read: 16,
    Private.read_by_name: 5, Private.read_by_other_mount: 3, Private.truncate: 4, Private.allocate: 5,
    Private.map: 3, Private.sync: 2, Private.rename: 6, Private.unlink: 4, Private.mkdir: 3, Private.rmdir: 2,
    Private.link_file: 2, Private.symlink: 2, Private.list: 4, Private.status: 4, Private.set_times: 2,
    Private.change_mode: 2, Private.attribute: 3,
}
OPERATIONS = list(OPERATION_WEIGHTS)
WEIGHTS = list(OPERATION_WEIGHTS.values())


def lexists(path):
    """os.path.lexists takes every error for "no"."""
    try:
        os.lstat(path)
        return True
    except FileNotFoundError:
        return False


def contents(path):
    with open(path, 'rb') as file:
        return file.read()


def direct_contents(path):
    """Past the cache, of which the kernel looks at size and times only now and then."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, LARGEST_FILE + BLOCK) as buffer:
            length = 0
            while length < LARGEST_FILE:
                count = os.preadv(fd, [memoryview(buffer)[length:]], length)
                if count == 0:
                    break
                length += count
            return buffer[:length]
    finally:
        os.close(fd)


def depth_below(model, path):
    below = [other[len(path):].count('/') for other in model.nodes if other.startswith(path + '/')]
    return max(below, default=0)


def fallocate(fd, mode, offset, length):
    if LIBC.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
