"""Random files on a share through the kernel's client, checked against models in memory: main.py run | verify MOUNT.

Environment: WORKLOAD_SEED, WORKLOAD_SECONDS, WORKLOAD_CUTS ("30:20:drop 90:20:refuse": when, for how long, how),
WORKLOAD_WORKERS ("4 3": those with a folder of their own, those on shared files), WORKLOAD_POSIX (1: the mounts have
POSIX' rules), SMB_PORT. Models are kept in /tmp/models for `verify`.
"""

import json
import os
import pickle
import sys
import time
import traceback
from collections import Counter
from multiprocessing import Process, Queue, Value

import shared
from link import Link
from model import Mismatch
from private import Private

MODELS = '/tmp/models'
# The client gives up a server that does not answer after three echoes, and what was under way is then repeated.
FINISH_SECONDS = 300


def worker(task, until, results):
    try:
        task.run(until)
        task.save(MODELS)
        results.put((dict(task.counts), None))
    except BaseException as error:
        until.value = 0
        where = '' if isinstance(error, Mismatch) else traceback.format_exc()
        results.put((dict(task.counts), f'{error}\n{where}'))


def run(first, second):
    seed = int(os.environ['WORKLOAD_SEED'])
    seconds = int(os.environ['WORKLOAD_SECONDS'])
    posix = os.environ.get('WORKLOAD_POSIX') == '1'
    private_workers, shared_workers = map(int, os.environ['WORKLOAD_WORKERS'].split())
    cuts = [cut.split(':') for cut in os.environ.get('WORKLOAD_CUTS', '').split()]
    os.makedirs(MODELS, exist_ok=True)
    link = Link(os.environ['SMB_PORT'])
    shared.prepare(first)
    mounts = [first, second]
    tasks = [Private(i, seed, mounts[i % 2], mounts[1 - i % 2], link, posix) for i in range(private_workers)]
    tasks += [shared.Shared(i, seed, mounts[i % 2], link) for i in range(shared_workers)]
    began = time.monotonic()
    until, results = Value('d', began + seconds), Queue()
    processes = [Process(target=worker, args=(task, until, results), daemon=True) for task in tasks]
    for process in processes:
        process.start()
    for at, length, kind in cuts:
        while time.monotonic() < min(began + float(at), until.value):
            time.sleep(0.2)
        if until.value == 0:
            break
        link.cut(float(length), kind)
    return collect(processes, results, until, seed)


def collect(processes, results, until, seed):
    total, failures = Counter(), []
    for _ in processes:
        left = max(0, until.value - time.monotonic()) + FINISH_SECONDS
        try:
            counts, failure = results.get(timeout=left)
        except Exception:
            failures.append('a worker does not come to its end:\n' + '\n'.join(where(p) for p in processes if p.is_alive()))
            break
        slowest = max(total['slowest'], counts.pop('slowest', 0))
        total.update(counts)
        total['slowest'] = slowest
        if failure is not None:
            failures.append(failure)
    print('     ' + ', '.join(f'{name} {total[name]}' for name in sorted(total)), flush=True)
    for failure in failures:
        print(f'seed {seed}: {failure}', file=sys.stderr)
    return 1 if failures else 0


def where(process):
    try:
        with open(f'/proc/{process.pid}/stack') as file:
            return f'{process.pid}:\n{file.read()}'
    except OSError as error:
        return f'{process.pid}: {error}'


def verify(root):
    manifest, results = {}, []
    for name in sorted(os.listdir(MODELS)):
        with open(os.path.join(MODELS, name), 'rb') as file:
            found = pickle.load(file)
        if name.startswith('shared'):
            results.append(found)
            continue
        found.verify(os.path.join(root, name))
        manifest.update({f'{name}/{path}': entry for path, entry in found.manifest().items() if path})
    added, unsure = shared.verify(root, results)
    print(f'     {len(manifest)} files and folders are as they should be; {added} additions, {unsure} of them around a cut')
    with open('/out/manifest.json', 'w') as file:
        json.dump(manifest, file)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(run(sys.argv[2], sys.argv[3]) if sys.argv[1] == 'run' else verify(sys.argv[2]))
    except Mismatch as problem:
        print(f'seed {os.environ.get("WORKLOAD_SEED")}: {problem}', file=sys.stderr)
        sys.exit(1)
