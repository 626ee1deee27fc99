/** The configuration that `poolhouse serve` uses when there is no file. */

/** Share of the built-in configuration. */
export const BUILT_IN_SHARE = 'backup'
/** Served folder, below the working directory. */
export const BUILT_IN_DATA_DIRECTORY = 'data'
/** Beside the served folder, not in it: what a share holds, its users can read. */
export const BUILT_IN_STATE_DIRECTORY = '.poolhouse'
/** How messages call it. */
export const BUILT_IN_NAME = 'built-in configuration'

/**
 * @param isPublic standard ports on all addresses instead of unprivileged ones on the loopback
 * @returns TOML text, read by the same parser as a file
 */
export function builtInConfiguration(isPublic: boolean): string {
  const smb = isPublic ? '["0.0.0.0:445", "[::]:445"]' : '["127.0.0.1:4450"]'
  return `
[server]
state_dir = "./${BUILT_IN_STATE_DIRECTORY}"
[log]
format = "pretty"
[smb]
listen = ${smb}
[status]
listen = "127.0.0.1:4480"
[[share]]
name = "${BUILT_IN_SHARE}"
path = "./${BUILT_IN_DATA_DIRECTORY}"
time_machine = true
`
}
