/** proc_pid_mountinfo(5): which datasets are mounted, as the kernel says: no command, and no pool that could keep it waiting. */

/** Fields before the optional ones; the type and the source follow a lone dash. */
const MOUNT_POINT_FIELD = 4
const OCTAL_ESCAPE = /\\([0-7]{3})/g

/** Mount points by dataset; of several the last, which is what its path leads to. Snapshots are left out. */
export function datasetMounts(mountinfo: string): ReadonlyMap<string, string> {
  const mounts = new Map<string, string>()
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [type, source] = after.split(' ')
    const mountPoint = before.split(' ')[MOUNT_POINT_FIELD]
    if (type !== 'zfs' || source === undefined || mountPoint === undefined || source.includes('@')) continue
    mounts.set(unescaped(source), unescaped(mountPoint))
  }
  return mounts
}

/** "\040" is a space, and so on. */
function unescaped(field: string): string {
  if (!field.includes('\\')) return field
  const bytes = field.replaceAll(OCTAL_ESCAPE, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
