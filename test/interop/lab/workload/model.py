"""What a worker's folder must look like: files with their contents, directories, symbolic links, by relative path."""

import hashlib
import os
from collections import deque


class Mismatch(Exception):
    """The share is not as the model says, or an operation failed that must succeed."""


class File:
    def __init__(self, direct=False):
        self.data = bytearray()
        self.attributes = {}
        # Only ever used with O_DIRECT: the kernel promises nothing about a mixture with cached pages.
        self.direct = direct
        # None: as it was made.
        self.mode = None
        # Of the latest operations, for a report.
        self.history = deque(maxlen=14)


class Alias:
    """
    A further name of a file. Nothing is opened by it while the file may be open: the kernel has one lease key for a
    file, and SMB has it that a lease is of one name (MS-SMB2 3.3.5.9.8).
    """

    def __init__(self, file):
        self.file = file


class Directory:
    def __init__(self):
        self.mode = None


class Symlink:
    def __init__(self, target):
        self.target = target


def what_is(path):
    """A name can be listed though nobody can open it: of a file that is to be deleted."""
    try:
        status = os.lstat(path)
        return f'{status.st_size} bytes, {status.st_nlink} names'
    except OSError as error:
        return error.strerror


class Model:
    def __init__(self):
        self.nodes = {'': Directory()}

    def paths(self, kind):
        return [path for path, node in self.nodes.items() if isinstance(node, kind)]

    def children(self, directory):
        prefix = directory + '/' if directory else ''
        rest = (path[len(prefix):] for path in self.nodes if path and path.startswith(prefix))
        return sorted(name for name in rest if '/' not in name)

    def remove(self, path):
        del self.nodes[path]

    def rename(self, old, new):
        if new in self.nodes:
            self.remove(new)
        moved = {path: node for path, node in self.nodes.items() if path == old or path.startswith(old + '/')}
        for path in moved:
            del self.nodes[path]
        for path, node in moved.items():
            self.nodes[new + path[len(old):]] = node

    def manifest(self):
        """For whoever checks on the server's side: path -> [kind, size, sha256 or target]."""
        found = {}
        for path, node in self.nodes.items():
            node = node.file if isinstance(node, Alias) else node
            if isinstance(node, File):
                found[path] = ['file', len(node.data), hashlib.sha256(node.data).hexdigest()]
            elif isinstance(node, Symlink):
                found[path] = ['symlink', 0, node.target]
            else:
                found[path] = ['directory', 0, '']
        return found

    def verify(self, root):
        """Compares the whole folder. @raises Mismatch with the first few differences"""
        problems = []
        seen = set()
        for base, directories, names in os.walk(root):
            for name in directories + names:
                seen.add(os.path.relpath(os.path.join(base, name), root))
        expected = {path for path in self.nodes if path}
        problems += [f'missing: {path}' for path in sorted(expected - seen)]
        problems += [f'not expected: {path} ({what_is(os.path.join(root, path))})' for path in sorted(seen - expected)]
        for path in sorted(expected & seen):
            problem = self.compare(root, path)
            if problem is not None:
                problems.append(f'{path}: {problem}')
        if problems:
            raise Mismatch(f'{len(problems)} differences in {root}: ' + '; '.join(problems[:8]))

    def compare(self, root, path):
        node = self.nodes[path]
        node = node.file if isinstance(node, Alias) else node
        full = os.path.join(root, path)
        if isinstance(node, Symlink):
            target = os.readlink(full) if os.path.islink(full) else None
            return None if target == node.target else f'links to {target}, not {node.target}'
        status = os.lstat(full)
        if node.mode is not None and status.st_mode & 0o7777 != node.mode:
            return f'mode {status.st_mode & 0o7777:o}, not {node.mode:o}'
        if isinstance(node, Directory):
            return None if os.path.isdir(full) else 'is no directory'
        if not os.path.isfile(full) or os.path.islink(full):
            return 'is no file'
        if status.st_size != len(node.data):
            return f'stat says {status.st_size} bytes, not {len(node.data)}'
        with open(full, 'rb') as file:
            problem = difference(node.data, file.read(), 0)
        if problem is not None:
            return problem
        attributes = {name: os.getxattr(full, name) for name in os.listxattr(full) if name.startswith('user.w')}
        return None if attributes == node.attributes else f'attributes {sorted(attributes)}, not {sorted(node.attributes)}'


def difference(expected, found, offset):
    """Where two pieces of data differ first, in words; None when they don't."""
    if expected == found:
        return None
    if len(expected) != len(found):
        return f'read {len(found)} bytes at {offset}, not {len(expected)}'
    first = next(i for i in range(len(expected)) if expected[i] != found[i])
    last = next(i for i in reversed(range(len(expected))) if expected[i] != found[i])
    kind = 'zeros' if not any(found[first:last + 1]) else 'other bytes'
    return f'{kind} from {offset + first} to {offset + last} (read at {offset}, {len(found)} bytes)'
