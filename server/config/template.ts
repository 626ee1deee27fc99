/** The commented configuration file that `poolhouse init` writes. */

export interface TemplateChoices {
  readonly stateDirectory: string
  readonly shareName: string
  readonly sharePath: string
  readonly timeMachine: boolean
  /** Listen on the standard port of all addresses, or on an unprivileged one of this host. */
  readonly isPublic: boolean
}

/** @returns TOML text in which all that is not chosen stands as a comment with its default */
export function configurationTemplate(choices: TemplateChoices): string {
  const text = (value: string): string => JSON.stringify(value)
  const listen = choices.isPublic ? '["0.0.0.0:445", "[::]:445"]' : '["127.0.0.1:4450"]'
  return `# Poolhouse. After a change: "poolhouse check", then restart; for shares and users a SIGHUP is enough.
# Relative paths count from this file's folder. Sizes: bytes, "500G", "1TiB" (powers of 1024), "2TB" (of 1000).

[server]
state_dir = ${text(choices.stateDirectory)}   # accounts and keys; never inside a share
# name = "ocean"                # letters, digits and "-"; default: this host's name
# workgroup = "WORKGROUP"

[log]
level = "info"                  # trace, debug, info, warn, error, fatal, silent
format = "json"                 # or "pretty"

[smb]
listen = ${listen}   # Windows and Finder expect port 445, which needs root
# min_protocol = "3.0"          # 2.0.2, 2.1, 3.0, 3.0.2, 3.1.1
# max_protocol = "3.1.1"
# signing = "required"          # or "enabled"
# encryption = "enabled"        # "required", "enabled", "off"
# posix_extensions = true       # POSIX' rules for Linux clients that mount with "posix"
# guest = false                 # let unknown users in as guest, on shares with guest_ok
# hosts_allow = ["192.168.0.0/16", "fd00::/8"]    # empty: everyone; the narrowest range decides
# hosts_deny = []

[discovery]
# mdns = true                   # Finder, Time Machine, Linux
# wsd = true                    # Network in Windows' Explorer; needs port 445
# interfaces = ["eth0"]         # empty: all but containers, bridges and tunnels

[status]
listen = "127.0.0.1:4480"       # page, /metrics (Prometheus), /api/status

[[share]]
name = ${text(choices.shareName)}
path = ${text(choices.sharePath)}
time_machine = ${choices.timeMachine}
# max_size = "500G"             # what clients see as the disk's size, and cannot pass
# per_user = false              # true: a folder (of a dataset: a dataset) for each user below, each with its own max_size
# comment = ""
# valid_users = ["anna", "@staff"]    # empty: every account
# read_only = false
# browseable = true
# encryption = "required"
# force_user = "backup"         # all files belong to this system user
# force_group = "backup"
# create_mask = "0644"
# directory_mask = "0755"
# hide_dot_files = true
# hide_files = ["*.tmp"]
# fruit_metadata = "netatalk"   # Finder information as netatalk keeps it; "stream" as Samba does
# fruit_resource = "file"       # resource forks in files ._NAME, not only large ones
# fruit_locking = "netatalk"    # netatalk serves the same files: neither opens what the other denies
# fruit_zero_file_id = false    # true: no file ids for Macs; for file systems that soon use them again
# hide_apple_double = true      # ._NAME beside NAME is shown as streams of NAME, not as a file
# follow_symlinks = true        # links that stay inside the share
`
}
