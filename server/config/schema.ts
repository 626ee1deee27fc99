/** Every key of the configuration file, its default and what it may hold. */

import * as z from 'zod'
import { ACCOUNT_NAME } from '../accounts/account.ts'
import { NAME_FORMAT } from '../previous/name-format.ts'
import {
  addressRange,
  choice,
  count,
  flag,
  list,
  listenAddress,
  mode,
  path,
  replicationPlace,
  show,
  size,
  sizeOrZero,
  text,
} from './values.ts'

const TIMEOUT_MAXIMUM_SECONDS = 30 * 86_400
const STALE_DAYS_MAXIMUM = 3650
const SNAPSHOT_HOURS_MAXIMUM = 24 * 366
const SNAPSHOTS_MAXIMUM = 100_000
const CONNECTIONS_MAXIMUM = 65_536
const PORT_MAXIMUM = 65_535
const LUN_MAXIMUM = 255
const PHYSICAL_BLOCK_MAXIMUM = 1_048_576
/** RFC 7143 6.1: an iSCSI name is at most 223 bytes. */
const ISCSI_NAME =
  /^(?:iqn\.\d{4}-\d{2}\.[a-z0-9.:-]{1,207}|eui\.[0-9A-Fa-f]{16}|naa\.(?:[0-9A-Fa-f]{16}){1,2})$/
const ISCSI_NAME_FORMS = 'use an iSCSI name in lower case, such as "iqn.2026-11.lan.ocean:mac0"'
/** Characters that Windows refuses in a share's name (MS-SRVS 3.1.4.7), and control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const SHARE_NAME = /^[^\x00-\x1f"/\\[\]:|<>+=;,*?]{1,80}$/

const DATASET_NAME = /^[A-Za-z0-9][A-Za-z0-9_.:/ -]*$/

const tableError = (name: string) => ({
  error: (issue: { input?: unknown; code?: string }) =>
    issue.code === 'invalid_type'
      ? `${show(issue.input)} is not allowed; write it as a table: [${name}]`
      : undefined,
})
const tablesError = (name: string) => ({
  error: (issue: { input?: unknown }) => `${show(issue.input)} is not allowed; write each one as [[${name}]]`,
})

const accountOrGroup = () =>
  text('use the name of an account, or "@group"', new RegExp(`^@?${ACCOUNT_NAME.source.slice(1)}`))
const systemName = () => text('use the name of a system user or group', /^[^\s:@-][^\s:@]{0,104}$/)
const anyText = (longest: number) =>
  text(`use text of up to ${longest} characters`, new RegExp(`^[^\\0\\n]{0,${longest}}$`))
const dialect = () => choice('2.0.2', '2.1', '3.0', '3.0.2', '3.1.1')

export const serverSchema = z.strictObject(
  {
    /** mDNS instance and host name. Default: this host's name. */
    name: text('use letters, digits and "-", at most 63', /^(?!-)[A-Za-z0-9-]{1,63}$/).optional(),
    state_dir: path().default('/var/lib/poolhouse'),
    workgroup: text('use letters, digits and "-", at most 15', /^[A-Za-z0-9._-]{1,15}$/).default('WORKGROUP'),
    /** Icon in Finder. */
    model: text('use a model name such as "TimeCapsule8,119"', /^[A-Za-z0-9,._ -]{1,64}$/).default(
      'TimeCapsule8,119',
    ),
    comment: anyText(256).default(''),
  },
  tableError('server'),
)

export const logSchema = z.strictObject(
  {
    level: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent').default('info'),
    format: choice('json', 'pretty').default('json'),
  },
  tableError('log'),
)

const listen = (addresses: readonly { host: string; port: number }[]) =>
  list(listenAddress()).default(addresses.map((address) => ({ ...address })))

export const smbSchema = z.strictObject(
  {
    enabled: flag().default(true),
    listen: listen([
      { host: '0.0.0.0', port: 445 },
      { host: '::', port: 445 },
    ]),
    min_protocol: dialect().default('3.0'),
    max_protocol: dialect().default('3.1.1'),
    signing: choice('required', 'enabled').default('required'),
    encryption: choice('required', 'enabled', 'off').default('enabled'),
    /** POSIX' rules for 3.1.1 clients that ask for them: Linux, mounted with `posix`. */
    posix_extensions: flag().default(true),
    /** Unknown users, never known ones with a wrong password, become guest. */
    guest: flag().default(false),
    /** Anonymous sessions may list shares over IPC$, and nothing else. */
    anonymous: flag().default(false),
    hosts_allow: list(addressRange()),
    hosts_deny: list(addressRange()),
    max_connections: count(1, CONNECTIONS_MAXIMUM).default(1024),
    max_connections_per_address: count(1, CONNECTIONS_MAXIMUM).default(128),
    /** Seconds after which a session must authenticate again; 0: never. */
    session_timeout: count(0, TIMEOUT_MAXIMUM_SECONDS).default(0),
    /** For tests alone: serves the controls by which smbtorture makes a server misbehave. */
    smbtorture_fsctls: flag().default(false),
  },
  tableError('smb'),
)

export const afpSchema = z.strictObject(
  {
    enabled: flag().default(false),
    listen: listen([{ host: '0.0.0.0', port: 548 }]),
  },
  tableError('afp'),
)

export const iscsiSchema = z.strictObject(
  {
    enabled: flag().default(true),
    listen: listen([{ host: '0.0.0.0', port: 3260 }]),
  },
  tableError('iscsi'),
)

export const discoverySchema = z.strictObject(
  {
    mdns: flag().default(true),
    wsd: flag().default(true),
    /** Empty: all but containers, bridges and tunnels. */
    interfaces: list(text('use the name of a network interface', /^[^\s/]{1,64}$/)),
  },
  tableError('discovery'),
)

const snapshots = (kept: number) => count(0, SNAPSHOTS_MAXIMUM).default(kept)

const retention = () => ({
  /** Hours in which all are kept. */
  keep_all: snapshots(24),
  /** Then the last one of each of so many hours, days, weeks, months and years, counted from now. */
  hourly: snapshots(48),
  daily: snapshots(14),
  weekly: snapshots(8),
  monthly: snapshots(6),
  yearly: snapshots(2),
  /** Never more than this, in all. */
  maximum: count(1, SNAPSHOTS_MAXIMUM).optional(),
})

/** Which of our snapshots are kept, of each dataset. */
export const snapshotsSchema = z.strictObject(
  {
    ...retention(),
    /** Bytes of the pool that are to stay free: for these the oldest go, but for the newest of each dataset. */
    keep_free: size().optional(),
  },
  tableError('snapshots'),
)

/** Where a share's dataset, or another, is replicated to. */
export const replicateSchema = z.strictObject(
  {
    share: text('use the name of a share with "dataset"', SHARE_NAME).optional(),
    dataset: text('use the name of a ZFS dataset, such as "tank/data"', DATASET_NAME).optional(),
    to: replicationPlace(),
    /** Private key for ssh. Default: ssh's own choice. */
    ssh_key: path().optional(),
    ssh_port: count(1, PORT_MAXIMUM).optional(),
    /** What is started as ssh. */
    ssh_command: path().default('ssh'),
    /** After each snapshot of a completed backup. */
    after_backup: flag().default(true),
    /** So often, in hours; 0: never. */
    every: count(0, SNAPSHOT_HOURS_MAXIMUM).default(0),
    /** Which of our snapshots the target keeps; absent: all. */
    keep: z.strictObject(retention(), tableError('replicate.keep')).optional(),
  },
  tablesError('replicate'),
)

export const statusSchema = z.strictObject(
  {
    enabled: flag().default(true),
    listen: listenAddress().default({ host: '127.0.0.1', port: 4480 }),
  },
  tableError('status'),
)

export const shareSchema = z.strictObject(
  {
    name: text('use 1 to 80 characters without "/\\[]:|<>+=;,*?', SHARE_NAME),
    comment: anyText(256).default(''),
    path: path().optional(),
    dataset: text('use the name of a ZFS dataset, such as "tank/data"', DATASET_NAME).optional(),
    protocols: list(choice('smb', 'afp')).default(['smb']),
    time_machine: flag().default(false),
    max_size: size().optional(),
    /** Days without a completed backup after which a Mac is pointed out. */
    stale_after_days: count(1, STALE_DAYS_MAXIMUM).default(7),
    per_user: flag().default(false),
    /** Of a dataset: after each backup that a Mac has completed. */
    snapshot_after_backup: flag().default(true),
    /** Of a dataset: so often, in hours; 0: never. */
    snapshot_every: count(0, SNAPSHOT_HOURS_MAXIMUM).default(0),
    /** Of a folder: where another program keeps its snapshots of it, absolute or below `path`. */
    snapshot_folder: text(
      'use an absolute path, or one below the share such as ".snapshots"',
      /^(?!.*(?:^|\/)\.\.(?:\/|$))[^\0]{1,4000}$/,
    ).optional(),
    /** What their names are made of, in UTC: %Y %m %d %H %M %S, or %s for seconds since 1970; * stands for anything. */
    snapshot_format: text(
      'use a name with %Y, %m and %d, and %H, %M, %S as they occur, or with %s; such as "@GMT-%Y.%m.%d-%H.%M.%S"',
      NAME_FORMAT,
    ).default('@GMT-%Y.%m.%d-%H.%M.%S'),
    /** Empty: every account. */
    valid_users: list(accountOrGroup()),
    /** Act as the server's own user on this share. */
    admin_users: list(accountOrGroup()),
    guest_ok: flag().default(false),
    read_only: flag().default(false),
    browseable: flag().default(true),
    encryption: choice('required', 'enabled').default('enabled'),
    force_user: systemName().optional(),
    force_group: systemName().optional(),
    create_mask: mode().default(0o644),
    directory_mask: mode().default(0o755),
    /** What says who may use something that is made where a directory's ACL has nothing to inherit: as on Windows its owner alone, or its mode. */
    default_acl_style: choice('windows', 'posix').default('windows'),
    hide_dot_files: flag().default(true),
    /** Patterns with * and ?, shown as hidden. */
    hide_files: list(text('use a file name, with * and ? as wildcards', /^[^\0/]{1,255}$/)),
    hide_unreadable: flag().default(false),
    /** Streams and sidecar files of Macs are understood; false: they are streams and files like others. */
    fruit: flag().default(true),
    /** Where new AFP_AfpInfo and AFP_Resource of Macs go; what is there is read in each format. */
    fruit_metadata: choice('stream', 'netatalk').default('stream'),
    fruit_resource: choice('stream', 'xattr', 'file').default('stream'),
    /** netatalk, which serves the same files over AFP, is told of opens, and its own count. */
    fruit_locking: choice('none', 'netatalk').default('none'),
    /** Macs are told no file ids, as Samba does it: for file systems that give them again to other files. */
    fruit_zero_file_id: flag().default(false),
    /** Files ._NAME with a Mac's metadata of NAME are not listed beside it. */
    hide_apple_double: flag().default(true),
    /** Files with the read-only attribute can be deleted, as on POSIX. */
    delete_readonly: flag().default(false),
    /** Links that stay inside the share are followed; false: none is. */
    follow_symlinks: flag().default(true),
  },
  tablesError('share'),
)

const extentSchema = z.strictObject({ path: path(), start: sizeOrZero().default(0), length: size() })

const lunSchema = z.strictObject(
  {
    id: count(0, LUN_MAXIMUM),
    path: path().optional(),
    zvol: text('use the name of a ZFS volume, such as "tank/vols/mac0"', DATASET_NAME).optional(),
    extents: z.array(extentSchema, { error: 'use an array of { path, start, length }' }).optional(),
    /** Bytes of the blocks of a zvol that is made; default: the pool's. */
    volblocksize: size().optional(),
    /** Bytes; a missing file at `path`, or a missing zvol, is made this long, and a shorter one grown. */
    size: size().optional(),
    read_only: flag().default(false),
    /** Of what is on ZFS: a snapshot so often, in hours; 0: never. */
    snapshot_every: count(0, SNAPSHOT_HOURS_MAXIMUM).default(0),
    /** Bytes: 512 or 4096. */
    block_size: count(512, 4096).default(512),
    /** Bytes in which the disk writes best, shown to initiators; default: 4096. */
    physical_block_size: count(512, PHYSICAL_BLOCK_MAXIMUM).optional(),
    /** The medium can be ejected. */
    removable: flag().default(false),
    /** Space that initiators give back becomes free, where the backing can do so. */
    thin: flag().default(true),
  },
  tablesError('target.lun'),
)

const chapSchema = z.strictObject(
  {
    user: text('use the CHAP name', /^[^\0\s]{1,255}$/),
    secret_file: path(),
    mutual_user: text('use the CHAP name', /^[^\0\s]{1,255}$/).optional(),
    mutual_secret_file: path().optional(),
  },
  tableError('target.chap'),
)

const digest = () => choice('none', 'optional', 'required').default('optional')

export const targetSchema = z.strictObject(
  {
    name: text(ISCSI_NAME_FORMS, ISCSI_NAME),
    /** Empty: any. */
    initiators: list(text(ISCSI_NAME_FORMS, ISCSI_NAME)),
    hosts_allow: list(addressRange()),
    hosts_deny: list(addressRange()),
    header_digest: digest(),
    data_digest: digest(),
    /** Absent: no authentication. */
    chap: chapSchema.optional(),
    lun: z.array(lunSchema, tablesError('target.lun')).default([]),
  },
  tablesError('target'),
)

/** The whole file. */
export const fileSchema = z.strictObject({
  server: serverSchema.prefault({}),
  log: logSchema.prefault({}),
  smb: smbSchema.prefault({}),
  afp: afpSchema.prefault({}),
  iscsi: iscsiSchema.prefault({}),
  discovery: discoverySchema.prefault({}),
  snapshots: snapshotsSchema.prefault({}),
  status: statusSchema.prefault({}),
  replicate: z.array(replicateSchema, tablesError('replicate')).default([]),
  share: z.array(shareSchema, tablesError('share')).default([]),
  target: z.array(targetSchema, tablesError('target')).default([]),
})
