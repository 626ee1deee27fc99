/** The rules of the house as data: who may import whom, how long things may be. ARCHITECTURE.md says why; architecture.test.ts checks. */

export interface Layer {
  readonly name: string
  /** Paths that belong to it; the first layer that matches counts. */
  readonly files: RegExp
  /** Layers it may use besides itself. */
  readonly mayImport: readonly string[]
  /** Layers of which it may use types alone. */
  readonly mayImportTypes?: readonly string[]
  /** Packages and `node:` modules it may use. */
  readonly packages?: readonly string[]
  /** May read the clock, set timers, draw random numbers, read the environment. */
  readonly mayTouchTheWorld?: boolean
}

/** From the bottom up. "*" means every layer, every package. */
export const layers: readonly Layer[] = [
  { name: 'wire', files: /^protocols\/wire\//, mayImport: [] },
  {
    name: 'transport',
    files: /^protocols\/transport\//,
    mayImport: [],
    packages: ['node:net', 'node:events', 'node:timers', 'node:crypto'],
    mayTouchTheWorld: true,
  },
  { name: 'auth', files: /^protocols\/auth\//, mayImport: ['wire'], packages: ['node:crypto'] },

  { name: 'smb2/messages', files: /^protocols\/smb2\/messages\//, mayImport: ['wire', 'smb2/fscc'] },
  { name: 'smb2/fscc', files: /^protocols\/smb2\/fscc\//, mayImport: ['wire'] },
  { name: 'smb2/rpc', files: /^protocols\/smb2\/rpc\//, mayImport: ['wire', 'smb2/fscc'] },
  {
    name: 'smb2/crypto',
    files: /^protocols\/smb2\/crypto\//,
    mayImport: ['wire', 'smb2/messages'],
    // koffi: OpenSSL's calls in place, which node:crypto does not have.
    packages: ['node:crypto', 'koffi'],
  },
  {
    name: 'smb2/state',
    files: /^protocols\/smb2\/(?:state\/|credits\.ts|compound\.ts)/,
    mayImport: ['wire', 'smb2/messages', 'smb2/fscc', 'smb2/vocabulary'],
    mayImportTypes: ['auth', 'transport', 'storage', 'storage/sharing', 'smb2/crypto', 'smb2/rpc'],
  },
  {
    // What handlers and engine say to each other: status codes, outcomes, the context of a request.
    name: 'smb2/vocabulary',
    files: /^protocols\/smb2\/(?:status|storage-status|outcome|context)\.ts/,
    mayImport: ['wire', 'smb2/messages', 'storage'],
    mayImportTypes: ['smb2/state', 'transport'],
  },
  {
    name: 'smb2/commands',
    files: /^protocols\/smb2\/(?:commands|apple)\//,
    mayImport: [
      ...[
        'wire',
        'auth',
        'smb2/messages',
        'smb2/fscc',
        'smb2/crypto',
        'smb2/rpc',
        'smb2/state',
        'smb2/vocabulary',
      ],
      ...['storage', 'storage/sharing', 'storage/names'],
    ],
    mayImportTypes: ['transport'],
  },
  {
    name: 'smb2/engine',
    files: /^protocols\/smb2\/[a-z-]+\.ts/,
    mayImport: [
      ...[
        'wire',
        'smb2/messages',
        'smb2/fscc',
        'smb2/crypto',
        'smb2/state',
        'smb2/vocabulary',
        'smb2/commands',
      ],
      'storage',
    ],
    mayImportTypes: ['transport'],
  },

  { name: 'iscsi/pdu', files: /^protocols\/iscsi\/pdu\//, mayImport: ['wire'] },
  { name: 'iscsi/login', files: /^protocols\/iscsi\/login\//, mayImport: ['wire', 'auth', 'iscsi/pdu'] },
  {
    name: 'iscsi/session',
    files: /^protocols\/iscsi\/session\//,
    mayImport: ['wire', 'iscsi/pdu', 'iscsi/login', 'iscsi/scsi'],
    mayImportTypes: ['transport'],
  },
  {
    name: 'iscsi/engine',
    files: /^protocols\/iscsi\/[a-z-]+\.ts/,
    mayImport: ['wire', 'auth', 'iscsi/pdu', 'iscsi/login', 'iscsi/session'],
    mayImportTypes: ['transport', 'iscsi/scsi'],
  },
  {
    name: 'iscsi/scsi',
    files: /^protocols\/iscsi\/scsi\//,
    mayImport: ['wire', 'storage'],
    mayImportTypes: ['transport'],
    // node:crypto: hashes that make identifiers of names.
    packages: ['buffer-layout', 'node:crypto'],
  },

  { name: 'storage', files: /^storage\/[a-z-]+\.ts/, mayImport: [] },
  { name: 'storage/names', files: /^storage\/names\//, mayImport: ['storage'] },
  { name: 'storage/sharing', files: /^storage\/sharing\//, mayImport: ['storage', 'storage/names'] },
  {
    name: 'storage/metadata',
    files: /^storage\/metadata\//,
    mayImport: ['storage', 'storage/names'],
    packages: ['buffer-layout'],
  },
  {
    name: 'storage/memory',
    files: /^storage\/memory\//,
    mayImport: ['storage', 'storage/names', 'storage/metadata'],
  },
  { name: 'storage/previous', files: /^storage\/previous\//, mayImport: ['storage'] },
  { name: 'storage/limited', files: /^storage\/limited\//, mayImport: ['storage'] },
  {
    // The disk's edge: how old a directory's time stamp is can only be told by the clock.
    name: 'storage/disk',
    files: /^storage\/(?:posix|zfs|image)\//,
    mayImport: ['storage', 'storage/names', 'storage/metadata'],
    packages: [
      ...['node:fs', 'node:fs/promises', 'node:path', 'node:os', 'node:worker_threads', 'node:perf_hooks'],
      'node:module',
      ...['koffi', 'fs-ext'],
    ],
    mayTouchTheWorld: true,
  },

  { name: 'discovery', files: /^discovery\//, mayImport: [], packages: ['*'], mayTouchTheWorld: true },
  { name: 'server', files: /^server\//, mayImport: ['*'], packages: ['*'], mayTouchTheWorld: true },
  {
    // The programs of others are started in one way, whether they are to be tested with or measured.
    name: 'bench',
    files: /^bench\/|^test\/interop\/(?:smbd|ports|process|paths|needs|wire-session|mac\/client)\.ts$/,
    mayImport: ['*'],
    packages: ['*'],
    mayTouchTheWorld: true,
  },
]

/** The point at which to stop and look, not a target. */
export const maxFileLines = 400
export const maxFunctionLines = 70

/** Folders whose files begin with a comment that names the section of the specification they implement. */
export const citingFolders: readonly RegExp[] = [
  /^protocols\/smb2\/(?:messages|fscc|commands|rpc|crypto|state)\//,
  /^protocols\/auth\/ntlm\//,
  /^protocols\/afp\/messages\//,
  /^protocols\/iscsi\/(?:pdu|login|session|scsi)\//,
]

/** `MS-SMB2 2.2.13`, `RFC 4178 4.2`, `C706 chapter 14`, `FIPS 180-4`. */
export const citation = /\b(?:MS-[A-Z]{3,5}2?|RFC|C706|SP|FIPS|SPC-4|SBC-[34]|SAM-5) (?:chapter )?\d/

/** A file that breaks one rule, and why it may. A line whose file obeys must go. */
export interface Exception {
  readonly rule: 'imports' | 'world' | 'file length' | 'function length' | 'citation'
  readonly file: string
  readonly reason: string
}

export const exceptions: readonly Exception[] = [
  {
    rule: 'imports',
    file: 'protocols/smb2/commands/smb1-negotiate.ts',
    reason:
      'the one frame that is no SMB2 message: it is answered beside the dispatcher, so it sends its reply itself',
  },
]
