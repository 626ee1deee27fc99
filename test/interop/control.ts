/** The control: the same shares and accounts served by Debian's smbd, to tell a fault of a suite from one of the server. */

import type { Server, ServerOptions, Share } from './server-process.ts'
import { startSmbd } from './smbd.ts'

/** Translations of the configuration keys that the suites use; what is not here has no meaning for smbd. */
const shareKeys: Readonly<Record<string, (value: unknown) => string>> = {
  encryption: (value) => `smb encrypt = ${value === 'required' ? 'required' : 'default'}`,
  hide_files: (value) => `hide files = /${String(value).replaceAll(',', '/')}/`,
  hide_dot_files: (value) => `hide dot files = ${value === true ? 'yes' : 'no'}`,
  fruit_metadata: (value) => `fruit:metadata = ${value}`,
  fruit_resource: (value) => `fruit:resource = ${value}`,
  fruit_locking: (value) => `fruit:locking = ${value}`,
  fruit_zero_file_id: (value) => `fruit:zero_file_id = ${value === true ? 'yes' : 'no'}`,
  time_machine: (value) => `fruit:time machine = ${value === true ? 'yes' : 'no'}`,
  max_size: (value) => `fruit:time machine max size = ${value}`,
  default_acl_style: (value) => `acl_xattr:default acl style = ${value}`,
}

/** @throws CheckError when it does not listen in time */
export function startControl(options: ServerOptions, port: number): Promise<Server> {
  const { directory, accounts, shares, smb } = options
  const signing = smb?.['signing'] === 'required' ? 'mandatory' : 'auto'
  return startSmbd({
    ...{ directory, port, accounts, globals: [...globals, `server signing = ${signing}`] },
    shares: Object.fromEntries(shares.map((share) => [share.name, shareLines(share)])),
  })
}

const globals = [
  'log level = 1',
  'server min protocol = SMB2_02',
  'smbd:FSCTL_SMBTORTURE = yes',
  'smbd:sharedelay = 100000',
  'smbd:writetimeupdatedelay = 500000',
  'map hidden = no',
  'map system = no',
  'map readonly = no',
  'store dos attributes = yes',
  'dos filemode = yes',
  'ea support = yes',
  'read only = no',
  'fruit:copyfile = yes',
  'fruit:encoding = native',
  'fruit:veto_appledouble = no',
  'acl_xattr:ignore system acls = yes',
]

/** Modules of shares that smbtorture's plan names for what they do; samba/smb.conf.in of the plan has the same. */
const modules: Readonly<Record<string, string>> = {
  fs_specific: 'streams_xattr btrfs',
  shadow_write: 'shadow_copy2 streams_xattr',
  acl_xattr_ign_sysacl_posix: 'acl_xattr streams_xattr',
  acl_xattr_ign_sysacl_windows: 'acl_xattr streams_xattr',
}
const macModules = 'catia fruit streams_xattr acl_xattr'

function shareLines(share: Share): string[] {
  const translated = Object.entries(share).flatMap(([key, value]) => shareKeys[key]?.(value) ?? [])
  const objects = modules[share.name] ?? (share.name.startsWith('vfs_fruit') ? macModules : 'streams_xattr')
  return [`path = ${share.path}`, `vfs objects = ${objects}`, ...translated]
}
