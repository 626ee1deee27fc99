/** Programs that stand for zfs(8) and ssh(1): pools are files of JSON, streams have a head, contents and an end. */

import { readFileSync, writeFileSync } from 'node:fs'
import { chmod, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface FakeSnapshot {
  name: string
  guid: string
  txg: number
  holds: string[]
  reason: string
}

export interface FakeDataset {
  snapshots: FakeSnapshot[]
  bookmarks: FakeSnapshot[]
  token?: string
  /** Bytes that a receive that was cut had got. */
  partial?: number
  readonly?: string
}

export type FakePool = Record<string, FakeDataset>

/** Contents of each stream. */
export const STREAM_BYTES = 300_000

const ZFS = `
const fs = require('fs')
const file = process.env.FAKE_POOL
const pool = JSON.parse(fs.readFileSync(file, 'utf8'))
const [verb, ...args] = process.argv.slice(2)
const last = args.at(-1)
const die = (text) => { process.stderr.write(text + '\\n'); process.exit(1) }
const save = () => fs.writeFileSync(file, JSON.stringify(pool))
const split = (path) => path.split(/[@#]/)
const need = (name) => pool[name] ?? die("cannot open '" + name + "': dataset does not exist")
const find = (path) => need(split(path)[0]).snapshots.find((s) => s.name === split(path)[1]) ?? die("could not find any snapshots to destroy; no matching snapshots destroyed.")
const rows = (list) => process.stdout.write(list.map((row) => row.join('\\t') + '\\n').join(''))
if (pool.deny?.includes(verb)) die("cannot " + verb + " '" + last + "': permission denied")
const commands = {
  list() {
    const dataset = need(last), kind = args[args.indexOf('-t') + 1]
    if (kind === 'snapshot') rows(dataset.snapshots.map((s) => [last + '@' + s.name, s.guid, s.txg, s.txg * 3600, s.holds.length, s.reason]))
    else if (kind === 'bookmark') rows(dataset.bookmarks.map((s) => [last + '#' + s.name, s.guid, s.txg, s.txg * 3600]))
    else rows([[last, dataset.token ?? '-', 0, dataset.readonly ?? 'off']])
  },
  holds() { rows(args.slice(1).flatMap((path) => find(path).holds.map((tag) => [path, tag, 'Mon']))) },
  hold() { find(last).holds.push(args[0]); save() },
  release() { const s = find(last); s.holds = s.holds.filter((tag) => tag !== args[0]); save() },
  bookmark() { need(split(last)[0]).bookmarks.push({ ...find(args[0]), name: split(last)[1] }); save() },
  set() {
    if (args[0] === 'readonly=on') need(last).readonly = 'on'
    else for (const path of args.slice(1)) find(path).reason = args[0].split('=')[1]
    save()
  },
  destroy() {
    const [name, point] = split(last), dataset = need(name), kind = last.includes('#') ? 'bookmarks' : 'snapshots'
    if (kind === 'snapshots' && find(last).holds.length > 0) die('dataset is busy')
    dataset[kind] = dataset[kind].filter((s) => s.name !== point)
    save()
  },
  send() {
    const resumed = args.includes('-t') ? JSON.parse(Buffer.from(last, 'hex').toString()) : undefined
    const path = resumed ? resumed.from + '@' + resumed.snapshots[0].name : last
    const dataset = need(split(path)[0])
    if (resumed && !dataset.snapshots.some((s) => s.guid === resumed.snapshots[0].guid)) die("cannot resume send: '" + path + "' used in the initial send no longer exists")
    const all = ['-I', '-i'].some((flag) => args.includes(flag))
    const base = all && split(args.at(-2))[1]
    const from = all ? [...dataset.snapshots, ...dataset.bookmarks].find((s) => s.name === base) : undefined
    const upTo = find(path)
    const snapshots = resumed?.snapshots ?? dataset.snapshots.filter((s) => s.txg <= upTo.txg && (from ? s.txg > from.txg : s === upTo))
    const size = ${STREAM_BYTES} - (resumed?.partial ?? 0)
    if (args.includes('-nvP')) return process.stdout.write('full\\t' + path + '\\t' + size + '\\nsize\\t' + size + '\\n')
    process.stdout.write(JSON.stringify({ from: split(path)[0], base: from?.guid, snapshots, resumed: !!resumed }) + '\\n' + 'x'.repeat(size) + 'END')
    if (pool.stalls) setInterval(() => {}, 1000)
  },
  receive() {
    if (args[0] === '-A') { delete pool[last]; return save() }
    const text = fs.readFileSync(0, 'latin1'), at = text.indexOf('\\n')
    if (at < 0) die('cannot receive: failed to read from stream')
    const head = JSON.parse(text.slice(0, at)), dataset = pool[last] ?? { snapshots: [], bookmarks: [] }
    if (!head.resumed && head.base !== dataset.snapshots.at(-1)?.guid) die('cannot receive incremental stream: most recent snapshot does not match')
    pool[last] = dataset
    if (!text.endsWith('END')) {
      dataset.token = Buffer.from(JSON.stringify({ ...head, partial: text.length - at - 1 })).toString('hex')
      save()
      die('cannot receive: incomplete stream')
    }
    delete dataset.token
    const txg = dataset.snapshots.length + 100
    dataset.snapshots.push(...head.snapshots.map((s, index) => ({ ...s, txg: txg + index, holds: [], reason: '-' })))
    save()
  },
}
;(commands[verb] ?? (() => die('unknown ' + verb)))()
`

/** Loses the connection after FAKE_CUT bytes of a stream, as long as that file is there. */
const SSH = `#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift 3
echo "$*" >>"$FAKE_HOME/commands"
export FAKE_POOL="$FAKE_HOME/remote.json"
if [ "$1" = receive ] && [ -e "$FAKE_HOME/cut" ]; then
    head -c "$(cat "$FAKE_HOME/cut")" | zfs "$@"
    rm "$FAKE_HOME/cut"
    echo 'Connection closed by remote host.' >&2
    exit 255
fi
exec zfs "$@"
`

/** Two machines, and what a process needs to speak to them. */
export class FakeMachines {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async create(): Promise<FakeMachines> {
    const folder = await mkdtemp(join(tmpdir(), 'fake-zfs-'))
    await writeFile(join(folder, 'zfs.cjs'), ZFS)
    const zfs = `#!/bin/sh\nexec '${process.execPath}' '${join(folder, 'zfs.cjs')}' "$@"\n`
    for (const [name, text] of [
      ['zfs', zfs],
      ['ssh', SSH],
    ] as const) {
      await writeFile(join(folder, name), text)
      await chmod(join(folder, name), 0o755)
    }
    process.env['PATH'] = `${folder}:${process.env['PATH']}`
    process.env['FAKE_HOME'] = folder
    process.env['FAKE_POOL'] = join(folder, 'local.json')
    return new FakeMachines(folder)
  }

  write(machine: 'local' | 'remote', pool: object): void {
    writeFileSync(join(this.folder, `${machine}.json`), JSON.stringify(pool))
  }

  read(machine: 'local' | 'remote'): FakePool {
    return JSON.parse(readFileSync(join(this.folder, `${machine}.json`), 'utf8'))
  }

  cutAfter(bytes: number): void {
    writeFileSync(join(this.folder, 'cut'), String(bytes))
  }

  commands(): string[] {
    return readFileSync(join(this.folder, 'commands'), 'utf8').trim().split('\n')
  }
}

/** A dataset with these snapshots, made by us. */
export function fakeDataset(...names: readonly string[]): FakeDataset {
  const snapshots = names.map((name, index) => ({
    ...{ name, guid: `${name}-guid`, txg: index + 1 },
    ...{ holds: [], reason: 'manual' },
  }))
  return { snapshots, bookmarks: [] }
}
