/** What the interop suites need on this machine, and how to tell whether it is there; nothing is installed here. */

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { sharedRoot } from './paths.ts'

/** A thing that a suite cannot do without. */
export interface Need {
  /** As it reads in "left out: ... (needs ...)". */
  readonly name: string
  present(): boolean
}

/** Debian's interpreter, where Debian's packages are; another `python3` may come first in PATH. */
export const python = '/usr/bin/python3'

/** The peers' material for smbtorture: plan, runner, comparison. */
export const smbtortureRoot = join(sharedRoot, 'smbtorture')
/** The runner of libiscsi's suite. */
export const libiscsiRunner = join(sharedRoot, 'iscsi', 'run.sh')
/** The virtual machines with Debian's kernel. */
export const labCommand = join(sharedRoot, 'lab', 'lab')

const program = (name: string, debianPackage = name): Need => ({
  name: name === debianPackage ? name : `${name} (${debianPackage})`,
  present: () => isInstalled(name),
})

export const needs = {
  smbclient: program('smbclient'),
  rpcclient: program('rpcclient', 'smbclient'),
  smbcacls: program('smbcacls', 'smbclient'),
  smbtorture: program('smbtorture', 'samba-testsuite'),
  net: program('net', 'samba-common-bin'),
  smbd: program('smbd', 'samba'),
  rclone: program('rclone'),
  xfs: program('mkfs.xfs', 'xfsprogs'),
  xfsIo: program('xfs_io', 'xfsprogs'),
  btrfs: program('mkfs.btrfs', 'btrfs-progs'),
  qemu: program('qemu-system-x86_64', 'qemu-system-x86'),
  avahi: program('avahi-daemon'),
  avahiBrowse: program('avahi-browse', 'avahi-utils'),
  dbus: program('dbus-daemon', 'dbus'),
  wsdd: program('wsdd'),
  ip: program('ip', 'iproute2'),
  libiscsi: program('iscsi-test-cu', 'libiscsi-bin'),
  qemuImg: program('qemu-img', 'qemu-utils'),
  qemuStorageDaemon: program('qemu-storage-daemon', 'qemu-system-common'),
  fio: program('fio'),
  tgt: program('tgtd', 'tgt'),
  libiscsiRunner: {
    name: `the runner of libiscsi's suite (${libiscsiRunner})`,
    present: () => existsSync(libiscsiRunner),
  },
  impacket: {
    name: 'impacket (python3-impacket)',
    present: () => succeeds(python, ['-c', 'import impacket.examples.smbclient']),
  },
  plan: {
    name: `the smbtorture plan in ${smbtortureRoot}`,
    present: () => existsSync(join(smbtortureRoot, 'baseline.tsv')),
  },
  lab: {
    name: `the lab (${labCommand}, built)`,
    present: () => existsSync(labCommand) && existsSync(join(labCache(), 'root.img')),
  },
  root: {
    name: 'root and a mount namespace of its own',
    present: privateNamespace,
  },
} as const satisfies Record<string, Need>

/** Names of what is not there. */
export function missing(wanted: readonly Need[]): string[] {
  return wanted.filter((need) => !need.present()).map((need) => need.name)
}

/** Can this process mount things that no other process sees? */
export function privateNamespace(): boolean {
  return process.getuid?.() === 0 && succeeds('unshare', [...namespaceArguments, 'true'])
}

/**
 * Arguments of unshare(1): own mounts and own processes, so that file systems, accounts and servers of a
 * suite are gone when it ends, however it ends.
 */
export const namespaceArguments = [
  '--mount',
  '--propagation',
  'private',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
] as const

function labCache(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  return process.env['LAB_CACHE'] ?? join(cache, 'storage-lab')
}

function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore', timeout: 30_000 }).status === 0
}

/** Is there such a program? Those of the administrator count, too. */
export function isInstalled(name: string): boolean {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return directories.some((directory) => executable(join(directory, name)))
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
