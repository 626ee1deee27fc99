"""The link to the server: cut and restored in this machine, and known to all workers, who may then see errors that are no faults."""

import subprocess
import time
from multiprocessing import Array

# After a cut is over, the client still finds out, connects, and repeats what was under way.
SETTLE_SECONDS = 45
MAXIMUM_CUTS = 8

DROP = 'table inet cut {{\n' \
    ' chain out {{ type filter hook output priority 0; tcp dport {port} drop; }}\n' \
    ' chain in {{ type filter hook input priority 0; tcp sport {port} drop; }}\n}}\n'
REFUSE = 'table inet cut {{\n' \
    ' chain out {{ type filter hook output priority 0; tcp dport {port} reject with tcp reset; }}\n}}\n'


class Link:
    """Times are monotonic seconds, shared by all processes."""

    def __init__(self, port):
        self.port = port
        self.began = Array('d', MAXIMUM_CUTS)
        self.ended = Array('d', MAXIMUM_CUTS)
        self.cuts = 0

    def cut(self, seconds, kind):
        """kind 'drop': packets vanish; 'refuse': connections are reset and new ones refused."""
        print(f'     link cut for {seconds} s ({kind})', flush=True)
        self.began[self.cuts] = time.monotonic()
        rules = (DROP if kind == 'drop' else REFUSE).format(port=self.port)
        subprocess.run(['nft', '-f', '-'], input=rules.encode(), check=True)
        try:
            time.sleep(seconds)
        finally:
            subprocess.run(['nft', 'delete', 'table', 'inet', 'cut'], check=True)
        self.ended[self.cuts] = time.monotonic()
        self.cuts += 1
        print('     link restored', flush=True)

    def disturbed(self, since):
        """Was the link cut, or the client busy with what follows, at any time from `since` until now?"""
        for began, ended in zip(self.began, self.ended):
            if began != 0 and (ended == 0 or ended + SETTLE_SECONDS >= since):
                return True
        return False
