/** The configuration that `poolhouse serve` uses when there is no file. */

/** Share of the built-in configuration. */
export const BUILT_IN_SHARE = 'backup'
/** Served folder, below the working directory. */
export const BUILT_IN_DATA_DIRECTORY = 'data'
/** Beside the served folder, not in it: what a share holds, its users can read. */
export const BUILT_IN_STATE_DIRECTORY = '.poolhouse'
/** A disk over iSCSI: a sparse file in the served folder, hidden from those who list it. */
export const BUILT_IN_DISK = '.disk0.img'
export const BUILT_IN_DISK_SIZE = '10GiB'
export const BUILT_IN_TARGET = 'iqn.2026-11.org.poolhouse:disk0'
/** CHAP's user, and the file of its secret in the state directory: the disk is not for everybody on the network. */
export const BUILT_IN_USER = 'poolhouse'
export const BUILT_IN_SECRET_FILE = 'first-chap-secret'
/** How messages call it. */
export const BUILT_IN_NAME = 'built-in configuration'

/**
 * @param isPublic standard ports on all addresses instead of unprivileged ones on the loopback
 * @returns TOML text, read by the same parser as a file
 */
export function builtInConfiguration(isPublic: boolean): string {
  const smb = isPublic ? '["0.0.0.0:445", "[::]:445"]' : '["127.0.0.1:4450"]'
  const iscsi = isPublic ? '["0.0.0.0:3260", "[::]:3260"]' : '["127.0.0.1:3260"]'
  const chap = `[target.chap]
user = "${BUILT_IN_USER}"
secret_file = "./${BUILT_IN_STATE_DIRECTORY}/${BUILT_IN_SECRET_FILE}"
`
  return `
[server]
state_dir = "./${BUILT_IN_STATE_DIRECTORY}"
[log]
format = "pretty"
[smb]
listen = ${smb}
[iscsi]
listen = ${iscsi}
[status]
listen = "127.0.0.1:4480"
[[share]]
name = "${BUILT_IN_SHARE}"
path = "./${BUILT_IN_DATA_DIRECTORY}"
time_machine = true
[[target]]
name = "${BUILT_IN_TARGET}"
${isPublic ? chap : ''}[[target.lun]]
id = 0
path = "./${BUILT_IN_DATA_DIRECTORY}/${BUILT_IN_DISK}"
size = "${BUILT_IN_DISK_SIZE}"
`
}
