/** proc_pid_mountinfo(5): which datasets are mounted, as the kernel says: no command, and no pool that could keep it waiting. */

/** Fields before the optional ones; the type and the source follow a lone dash. */
const MOUNT_POINT_FIELD = 4
const OCTAL_ESCAPE = /\\([0-7]{3})/g
/** Links to the disks of volumes. */
export const ZVOL_FOLDER = '/dev/zvol'

interface Mount {
  readonly mountPoint: string
  /** undefined: it is no file system of ZFS. */
  readonly dataset: string | undefined
}

/** In the order in which they were mounted. */
function mountsOf(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const [type, source] = after.split(' ')
    const mountPoint = before.split(' ')[MOUNT_POINT_FIELD]
    if (mountPoint === undefined || source === undefined) return []
    const dataset = type === 'zfs' ? unescaped(source) : undefined
    return [{ mountPoint: unescaped(mountPoint), dataset }]
  })
}

/** Mount points by dataset; of several the last, which is what its path leads to. Snapshots are left out. */
export function datasetMounts(mountinfo: string): ReadonlyMap<string, string> {
  const mounts = new Map<string, string>()
  for (const { mountPoint, dataset } of mountsOf(mountinfo)) {
    if (dataset !== undefined && !dataset.includes('@')) mounts.set(dataset, mountPoint)
  }
  return mounts
}

/**
 * The dataset, snapshot or volume that an absolute path is on; links are not looked at, as that could take a disk.
 *
 * @returns undefined when it is on another file system
 */
export function datasetAt(mountinfo: string, path: string): string | undefined {
  if (path.startsWith(`${ZVOL_FOLDER}/`)) return path.slice(ZVOL_FOLDER.length + 1)
  let found: Mount | undefined
  for (const mount of mountsOf(mountinfo)) {
    const isNearer = mount.mountPoint.length >= (found?.mountPoint.length ?? 0)
    // Of several at one place the last covers the others.
    if (isNearer && isAtOrAbove(mount.mountPoint, path)) found = mount
  }
  return found?.dataset
}

function isAtOrAbove(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}

/** The pool that a dataset, snapshot or volume is in. */
export function poolOf(dataset: string): string {
  return dataset.split(/[/@#]/, 1)[0] ?? dataset
}

/** "\040" is a space, and so on. */
function unescaped(field: string): string {
  if (!field.includes('\\')) return field
  const bytes = field.replaceAll(OCTAL_ESCAPE, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
