/** The configuration file: defaults, values, every kind of error with its text, line and suggestion. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfiguration } from '../../server/config/load.ts'
import { parseConfiguration } from '../../server/config/parse.ts'
import { formatProblem } from '../../server/config/problems.ts'
import { configurationTemplate } from '../../server/config/template.ts'
import type { Configuration } from '../../server/config/types.ts'

function parse(text: string) {
  return parseConfiguration({ text, file: 'p.toml', baseDirectory: '/base', source: '/base/p.toml' })
}

function good(text: string): Configuration {
  const outcome = parse(text)
  if (!outcome.ok) throw new Error(outcome.problems.map(formatProblem).join('\n'))
  return outcome.configuration
}

function errors(text: string): string[] {
  const outcome = parse(text)
  return outcome.ok ? [] : outcome.problems.map(formatProblem)
}

/** The example of the design page, whole. */
const EXAMPLE = `
[server]
name = "ocean"
state_dir = "/var/lib/poolhouse"
workgroup = "WORKGROUP"
model = "TimeCapsule8,119"
[log]
level = "info"
format = "json"
[smb]
listen = ["0.0.0.0:445", "[::]:445"]
min_protocol = "3.0"
max_protocol = "3.1.1"
signing = "required"
encryption = "enabled"
guest = false
hosts_allow = ["100.64.0.0/10", "127.0.0.1"]
hosts_deny = []
[afp]
enabled = false
listen = ["0.0.0.0:548"]
[iscsi]
enabled = true
listen = ["0.0.0.0:3260"]
[discovery]
mdns = true
wsd = true
interfaces = []
[status]
listen = "127.0.0.1:4480"
[[share]]
name = "timemachine"
path = "/ocean/backups/timemachine"
protocols = ["smb"]
time_machine = true
max_size = "500G"
per_user = false
valid_users = ["backup", "@tmusers"]
read_only = false
browseable = true
encryption = "required"
force_user = "backup"
force_group = "backup"
create_mask = "0600"
directory_mask = "0700"
[[target]]
name = "iqn.2026-11.lan.ocean:mac0"
initiators = []
hosts_allow = []
header_digest = "optional"
data_digest = "optional"
[target.chap]
user = "mac"
secret_file = "/run/secrets/mac0"
mutual_user = "ocean"
mutual_secret_file = "/run/secrets/ocean"
[[target.lun]]
id = 0
path = "/tank/iscsi/mac0.img"
size = "100G"
read_only = false
block_size = 512
[[target.lun]]
id = 1
zvol = "tank/vols/mac0"
[[target.lun]]
id = 2
extents = [{ path = "/a.img", start = 0, length = "50G" }, { path = "b.img", start = 0, length = "50G" }]
`

t.test('the example of the design page', async (t) => {
  const configuration = good(EXAMPLE)
  t.match(configuration, {
    source: '/base/p.toml',
    server: { name: 'ocean', stateDir: '/var/lib/poolhouse', model: 'TimeCapsule8,119' },
    smb: {
      listen: [
        { host: '0.0.0.0', port: 445 },
        { host: '::', port: 445 },
      ],
      minProtocol: '3.0',
      hostsAllow: [
        { address: '100.64.0.0', prefixLength: 10 },
        { address: '127.0.0.1', prefixLength: 32 },
      ],
    },
    status: { listen: { host: '127.0.0.1', port: 4480 } },
  })
  const [share] = configuration.shares
  t.match(share, {
    maxSize: 500 * 1024 ** 3,
    createMask: 0o600,
    directoryMask: 0o700,
    validUsers: ['backup', '@tmusers'],
  })
  t.match(share, { followSymlinks: true, hideDotFiles: true, hideFiles: [], guestOk: false, adminUsers: [] })
  const [target] = configuration.targets
  t.match(target?.lun[0], { id: 0, size: 100 * 1024 ** 3, blockSize: 512 })
  t.equal(target?.lun[2]?.extents?.[1]?.path, '/base/b.img', 'relative paths count from the file')
  t.equal(target?.chap?.mutualUser, 'ocean')
  t.throws(() => Object.assign(configuration.smb.listen, { 0: 1 }), TypeError, 'frozen to the leaves')
})

t.test('defaults', async (t) => {
  const { server, smb, shares, status, afp, log } = good('[[share]]\nname = "a"\npath = "data"')
  t.match(server, { stateDir: '/var/lib/poolhouse', workgroup: 'WORKGROUP', name: /^[A-Za-z0-9-]+$/ })
  t.match(smb, {
    enabled: true,
    minProtocol: '3.0',
    maxProtocol: '3.1.1',
    signing: 'required',
    encryption: 'enabled',
  })
  t.match(smb, { guest: false, anonymous: false, hostsAllow: [], sessionTimeout: 0 })
  t.match(shares[0], {
    path: '/base/data',
    readOnly: false,
    browseable: true,
    encryption: 'enabled',
    protocols: ['smb'],
  })
  t.match(shares[0], { createMask: 0o644, directoryMask: 0o755, timeMachine: false })
  t.equal(shares[0]?.maxSize, undefined)
  t.match(status, { enabled: true, listen: { host: '127.0.0.1', port: 4480 } })
  t.equal(afp.enabled, false)
  t.equal(log.level, 'info')
})

t.test('unknown keys', async (t) => {
  t.strictSame(errors('[smb]\nsigning = "required"\nsingning = "required"'), [
    'p.toml:3: smb.singning: unknown key; did you mean "signing"?',
  ])
  t.strictSame(errors('[[shares]]\nname = "x"'), ['p.toml:1: shares: unknown key; did you mean "share"?'])
  t.strictSame(errors('[smb]\ntime_machine = true'), [
    'p.toml:2: smb.time_machine: unknown key here; it belongs in [[share]]',
  ])
  t.strictSame(errors('[[share]]\nname = "x"\npath = "p"\nstatus = 1'), [
    'p.toml:4: share.status: unknown key; known here: name, comment, path, dataset, protocols, time_machine, max_size, ' +
      'stale_after_days, ' +
      'per_user, snapshot_after_backup, snapshot_every, snapshot_folder, snapshot_format, valid_users, admin_users, guest_ok, read_only, browseable, encryption, force_user, force_group, ' +
      'create_mask, directory_mask, default_acl_style, hide_dot_files, hide_files, hide_unreadable, fruit, ' +
      'fruit_metadata, fruit_resource, fruit_locking, fruit_zero_file_id, hide_apple_double, delete_readonly, follow_symlinks',
  ])
  t.strictSame(
    errors('[[share]]\nname = "x"\npath = "p"\nvalid-users = []\nreadonly = true\nbrowsable = true'),
    [
      'p.toml:4: share.valid-users: unknown key; did you mean "valid_users"?',
      'p.toml:5: share.readonly: unknown key; did you mean "read_only"?',
      'p.toml:6: share.browsable: unknown key; did you mean "browseable"?',
    ],
  )
  const nested =
    '[[target]]\nname = "iqn.2026-11.a:b"\n[[target.lun]]\nid = 0\npath = "p"\n[[target.lun]]\nid = 1\npath = "q"\nsizes = 3'
  t.strictSame(errors(nested), ['p.toml:9: target.lun.sizes: unknown key; did you mean "size"?'])
})

t.test('wrong values', async (t) => {
  t.strictSame(errors('[smb]\nsigning = "off"\nguest = "no"\nmax_connections = 0'), [
    'p.toml:2: smb.signing: "off" is not allowed; use "required" or "enabled"',
    'p.toml:3: smb.guest: "no" is not allowed; use true or false',
    'p.toml:4: smb.max_connections: 0 is not allowed; use a whole number from 1 to 65536',
  ])
  t.strictSame(
    errors(
      '[smb]\nlisten = [\n  "0.0.0.0:445",\n  "localhost",\n]\nhosts_allow = ["10.0.0.0/33"]\nhosts_deny = "all"',
    ),
    [
      'p.toml:4: smb.listen: "localhost" is not allowed; use "address:port", such as "0.0.0.0:445", "127.0.0.1:4450" or "[::]:445"',
      'p.toml:6: smb.hosts_allow: "10.0.0.0/33" is not allowed; use an address or a range, such as "192.168.1.20", "100.64.0.0/10" or "fd00::/8"',
      'p.toml:7: smb.hosts_deny: "all" is not allowed; use an array: [ ... ]',
    ],
  )
  t.strictSame(
    errors('[[share]]\nname = "x"\npath = ""\nmax_size = "5Q"\ncreate_mask = 600\ndirectory_mask = "0888"'),
    [
      'p.toml:3: share.path: "" is not allowed; use a path in quotes',
      'p.toml:4: share.max_size: "5Q" is not allowed; use bytes or a size such as "500G", "1TiB" (powers of 1024) or "2TB" (powers of 1000)',
      'p.toml:5: share.create_mask: 600 is not allowed; use octal digits in quotes, such as "0600"',
      'p.toml:6: share.directory_mask: "0888" is not allowed; use octal digits in quotes, such as "0600"',
    ],
  )
  t.strictSame(errors('[server]\nname = "my server"'), [
    'p.toml:2: server.name: "my server" is not allowed; use letters, digits and "-", at most 63',
  ])
  t.strictSame(errors('[share]\nname = "x"'), [
    'p.toml:1: share: a table is not allowed; write each one as [[share]]',
  ])
  t.strictSame(errors('smb = true'), ['p.toml:1: smb: true is not allowed; write it as a table: [smb]'])
})

t.test('not TOML', async (t) => {
  const [message = ''] = errors('[smb]\nguest = = true')
  t.match(message, /^p\.toml:2: not valid TOML: invalid value/)
})

t.test('rules over several values', async (t) => {
  t.strictSame(errors('[[share]]\nname = "Data"\npath = "a"\n[[share]]\nname = "dATA"\npath = "b"'), [
    'p.toml:5: share.name: "dATA" names a share a second time (the first is "Data"); choose another name',
  ])
  t.strictSame(
    errors('[[share]]\nname = "a"\n[[share]]\nname = "b"\npath = "p"\ndataset = "d"\n[[share]]\npath = "q"'),
    [
      'p.toml:1: share.path: is missing; set path or dataset, what the share serves',
      'p.toml:6: share.dataset: goes not together with path; set path or dataset, not both',
      'p.toml:7: share.name: is missing; use 1 to 80 characters without "/\\[]:|<>+=;,*?',
    ],
  )
  t.strictSame(errors('[[share]]\nname = "IPC$"\npath = "a"'), [
    'p.toml:2: share.name: "IPC$" is reserved by the protocol; choose another name',
  ])
  t.strictSame(errors('[smb]\nmin_protocol = "3.1.1"\nmax_protocol = "2.1"'), [
    'p.toml:3: smb.max_protocol: max_protocol ("2.1") is below min_protocol ("3.1.1"); no client could connect',
  ])
  const overlap = 'overlaps the state directory /base/state, which holds accounts and keys; move one of them'
  t.strictSame(
    errors(
      'server.state_dir = "state"\n[[share]]\nname = "a"\npath = "."\n[[share]]\nname = "b"\npath = "state/x"',
    ),
    [`p.toml:4: share.path: /base ${overlap}`, `p.toml:7: share.path: /base/state/x ${overlap}`],
  )
  t.strictSame(errors('server.state_dir = "state"\n[[share]]\nname = "a"\npath = "state2"'), [])
  t.strictSame(
    errors(
      '[[target]]\nname = "iqn.2026-11.a:b"\nlun = [{ id = 0, path = "p" }, { id = 0, block_size = 1024 }]\n[target.chap]\nuser = "u"\nsecret_file = "s"\nmutual_user = "m"',
    ),
    [
      'p.toml:3: target.lun.path: is missing; set path or zvol or extents, what the LUN stores on',
      'p.toml:3: target.lun.id: 0 is a second time in this target',
      'p.toml:3: target.lun.block_size: 1024 is not allowed; use 512 or 4096',
      'p.toml:7: target.chap.mutual_user: stands alone; set mutual_user and mutual_secret_file together',
    ],
  )
})

t.test('where the configuration comes from', async (t) => {
  const directory = t.testdir({ 'other.toml': '[server]\nname = "other"' })
  const systemFile = join(directory, 'system.toml')
  const load = async (file?: string) => {
    const outcome = await loadConfiguration({ file, directory, systemFile })
    return outcome.ok ? outcome.configuration : outcome.problems.map(formatProblem)
  }
  t.match(await load(), {
    source: undefined,
    server: { stateDir: join(directory, '.poolhouse') },
    smb: { listen: [{ host: '127.0.0.1', port: 4450 }] },
    iscsi: { listen: [{ host: '127.0.0.1', port: 3260 }] },
    targets: [
      { chap: undefined, lun: [{ path: join(directory, 'data', '.disk0.img'), size: 10 * 2 ** 30 }] },
    ],
    shares: [{ name: 'backup', path: join(directory, 'data'), timeMachine: true }],
  })
  const open = await loadConfiguration({ directory, systemFile, isPublic: true })
  t.match(open, {
    configuration: {
      smb: {
        listen: [
          { host: '0.0.0.0', port: 445 },
          { host: '::', port: 445 },
        ],
      },
      iscsi: { listen: [{ port: 3260 }, { port: 3260 }] },
      targets: [{ chap: { secretFile: join(directory, '.poolhouse', 'first-chap-secret') } }],
    },
  })
  writeFileSync(systemFile, '[server]\nname = "system"')
  t.match(await load(), { source: systemFile, server: { name: 'system' } })
  writeFileSync(join(directory, 'poolhouse.toml'), '[server]\nname = "local"')
  t.match(await load(), { server: { name: 'local' } })
  t.match(await load('other.toml'), { server: { name: 'other' } })
  t.strictSame(await load('missing.toml'), [
    `${join(directory, 'missing.toml')}: cannot be read: there is no such file; "poolhouse init" writes one`,
  ])
  mkdirSync(join(directory, 'sub'))
  t.match(await load('sub'), [/sub: cannot be read: it is a folder; name the file in it$/])
})

t.test('what init writes is valid, also with every comment taken away', async (t) => {
  const choices = {
    stateDirectory: './state',
    shareName: 'a "b"',
    sharePath: './data',
    timeMachine: true,
    isPublic: true,
  }
  const template = configurationTemplate({ ...choices, shareName: 'ab' })
  t.match(good(template), { shares: [{ name: 'ab', path: '/base/data', timeMachine: true }] })
  t.strictSame(
    errors(template.replaceAll(/^# (?=\w+ = )/gm, '')),
    [],
    'the commented keys exist with these values',
  )
  t.match(errors(configurationTemplate(choices)), [/share\.name: "a \\"b\\"" is not allowed/])
})
