/** An XFS of its own whose power can be cut: what was not synced is gone. */

import { setTimeout as pause } from 'node:timers/promises'
import { mountImage } from '../environment.ts'
import { run, succeed } from '../process.ts'

const seconds = 120
const unmountAttempts = 50
const pauseMilliseconds = 100

export class Disk {
  readonly mountPoint: string

  private constructor(mountPoint: string) {
    this.mountPoint = mountPoint
  }

  static async make(mountPoint: string, bytes: number): Promise<Disk> {
    await mountImage('xfs', bytes, mountPoint)
    return new Disk(mountPoint)
  }

  /** What was made before the trial is no part of it. */
  async sync(): Promise<void> {
    await succeed('sync', ['-f', this.mountPoint], { seconds })
  }

  /** From now on nothing reaches the disk, the log in memory neither; pages that were not written are lost. */
  async cutPower(): Promise<void> {
    await succeed('xfs_io', ['-x', '-c', 'shutdown', this.mountPoint], { seconds })
  }

  /** Mounts it again, which recovers the log. The server must be gone. */
  async powerUp(): Promise<void> {
    await this.unmount()
    await succeed('mount', ['-o', 'loop', `${this.mountPoint}.img`, this.mountPoint], { seconds })
  }

  /** @throws CheckError while something holds it */
  async unmount(): Promise<void> {
    for (let attempt = 1; attempt < unmountAttempts; attempt += 1) {
      // The kernel closes the files of a process that was killed a moment after it is gone.
      if ((await run('umount', [this.mountPoint], { seconds })).code === 0) return
      await pause(pauseMilliseconds)
    }
    await succeed('umount', [this.mountPoint], { seconds })
  }
}
