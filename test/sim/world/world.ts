/** MS-SMB2 3.3: a few clients that cache, one server, a bad network and a slow disk; what must always hold is asked after every step. */

import { FileAccess } from '../../../protocols/smb2/fscc/access.ts'
import { SHARE_ACCESS_ALL, ShareAccess } from '../../../protocols/smb2/fscc/create-options.ts'
import { LeaseState } from '../../../protocols/smb2/messages/create-context-lease.ts'
import { Status } from '../../../protocols/smb2/status.ts'
import { settled } from '../sim-environment.ts'
import { createSimServer } from '../sim-server.ts'
import { SimClient } from '../smb2-client.ts'
import type { CachedFile, Handle } from './cached-file.ts'
import { CachingClient } from './caching-client.ts'
import { Dice } from './dice.ts'
import type { Link } from './link.ts'
import { CELL_BYTES, cellValue, Referee } from './referee.ts'

const { READ_CACHING, WRITE_CACHING, HANDLE_CACHING } = LeaseState
const FILES = ['a', 'b']
const CELLS = 3
const MAXIMUM_HANDLES = 4
const STEPS = 70
/** What clients ask for. */
const WANTED = [
  READ_CACHING,
  READ_CACHING | HANDLE_CACHING,
  READ_CACHING | WRITE_CACHING,
  READ_CACHING | WRITE_CACHING | HANDLE_CACHING,
  READ_CACHING | WRITE_CACHING | HANDLE_CACHING,
]
/** Milliseconds. */
const SHORT_MOMENT = 50
const SLOW_DISK = 3000
const BREAK_TIMEOUT = 40_000
/** After this nobody can come back for a handle. */
const DURABLE_END = 17 * 60_000

export interface Outcome {
  readonly violations: readonly string[]
  readonly counts: ReadonlyMap<string, number>
  readonly story: readonly string[]
}

/** Plays one seed to its end. */
export async function play(seed: number): Promise<Outcome> {
  const world = new World(seed)
  await world.run()
  return world.referee
}

class World {
  readonly referee: Referee
  readonly #dice: Dice
  readonly #clients: readonly CachingClient[]
  /** What each client is at: it does one thing after the other, but for answering breaks. */
  readonly #busy = new Map<CachingClient, string>()
  readonly #answering = new Set<CachedFile>()
  /** Connections that the server believes in, and no one else. */
  readonly #silent = new Set<Link>()

  constructor(seed: number) {
    this.referee = new Referee(createSimServer({ seed }))
    this.#dice = new Dice(seed)
    const count = 2 + this.#dice.below(3)
    this.#clients = Array.from(
      { length: count },
      (_, index) => new CachingClient(this.referee, `client${index}`),
    )
  }

  async run(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      this.#act()
      await this.#pass(this.#moment())
      this.#check()
    }
    await this.#calmDown()
    await this.#until(this.#checkFiles())
    await this.#checkNothingLeft()
  }

  #moment(): number {
    if (this.#dice.onceIn(25)) return this.#dice.below(BREAK_TIMEOUT)
    return this.#dice.onceIn(3) ? this.#dice.below(SHORT_MOMENT) : 0
  }

  async #pass(milliseconds: number): Promise<void> {
    await this.referee.sim.environment.advance(milliseconds)
    for (const client of this.#clients) client.hear()
    await settled()
  }

  /** The disk may still be slow: the clock goes on until something is done. */
  async #until(work: Promise<void>): Promise<void> {
    let isDone = false
    const done = work.finally(() => {
      isDone = true
    })
    while (!isDone) await this.#pass(SHORT_MOMENT)
    await done
  }

  /** Somebody does something. */
  #act(): void {
    if (this.#dice.onceIn(8)) this.#slowDown()
    if (this.#dice.onceIn(6)) this.#buryOne()
    const client = this.#dice.pick(this.#clients)
    this.#answerSome(client)
    if (this.#busy.has(client)) {
      if (this.#dice.onceIn(30)) this.#cut(client)
      return
    }
    if (client.link === undefined) return this.#start(client, 'connect', () => client.connect())
    if (this.#dice.onceIn(18)) return this.#cut(client)
    this.#use(client)
  }

  #use(client: CachingClient): void {
    const handles = [...client.files.values()].flatMap((file) =>
      [...file.handles].map((handle) => ({ file, handle })),
    )
    const isFull = handles.length >= MAXIMUM_HANDLES
    if (handles.length === 0 || (!isFull && this.#dice.onceIn(5))) return this.#open(client)
    const { file, handle } = this.#dice.pick(handles)
    const cell = this.#dice.below(CELLS)
    this.#useHandle(client, file, handle, cell)
  }

  #open(client: CachingClient): void {
    const [name, wanted] = [this.#dice.pick(FILES), this.#dice.pick(WANTED)]
    const durable = !this.#dice.onceIn(5)
    const share = this.#dice.onceIn(6) ? ShareAccess.READ : SHARE_ACCESS_ALL
    this.#start(client, 'open', () => client.open(name, wanted, durable, share))
  }

  #useHandle(client: CachingClient, file: CachedFile, handle: Handle, cell: number): void {
    const what = this.#dice.below(10)
    if (what < 4) this.#start(client, 'read', () => client.read(file, handle, cell))
    else if (what < 8) {
      const value = this.referee.nextValue()
      this.#start(client, 'write', () => client.write(file, handle, cell, value))
    } else if (what === 8) {
      this.#start(client, 'close', () => client.close(file, handle))
    } else if (handle.locked.has(cell)) {
      this.#start(client, 'unlock', () => client.unlock(handle, cell))
    } else {
      this.#start(client, 'lock', () => client.lock(handle, cell))
    }
  }

  #start(client: CachingClient, what: string, run: () => Promise<void>): void {
    this.#busy.set(client, what)
    this.referee.note(client.name, what)
    run()
      .then(() => this.referee.note(client.name, `${what} done`))
      .catch((error) =>
        this.referee.expect(client.name, `${what}: ${error instanceof Error ? error.stack : error}`),
      )
      .finally(() => this.#busy.delete(client))
  }

  /** Breaks are answered sooner or later, and some not in time. */
  #answerSome(client: CachingClient): void {
    for (const file of client.files.values()) {
      if (file.breaks.length > 0 && !this.#answering.has(file) && !this.#dice.onceIn(4))
        this.#answer(client, file)
    }
  }

  #answer(client: CachingClient, file: CachedFile): void {
    this.#answering.add(file)
    client
      .answerBreak(file)
      .catch((error) =>
        this.referee.expect(client.name, `a break: ${error instanceof Error ? error.stack : error}`),
      )
      .finally(() => this.#answering.delete(file))
  }

  #cut(client: CachingClient): void {
    const how = this.#dice.onceIn(2) ? 'dropped' : 'silent'
    const link = client.lose(how)
    if (link === undefined) return
    this.referee.count(how)
    this.referee.note(client.name, how)
    if (how === 'silent') this.#silent.add(link)
  }

  #buryOne(): void {
    const [link] = this.#silent
    if (link === undefined) return
    this.#silent.delete(link)
    link.bury()
    this.referee.note('network', `buries session ${link.sessionId}`)
  }

  #slowDown(): void {
    const { environment, storage } = this.referee.sim
    const operation = this.#dice.pick(['write', 'read', 'open'] as const)
    const until = new Promise<void>((resolve) => environment.after(this.#dice.below(SLOW_DISK), resolve))
    storage.faults.delayNext(operation, until)
  }

  /** What must hold at every moment. */
  #check(): void {
    // While a client fetches its handles it does not know yet what is left of its rights.
    const present = this.#clients.filter(
      (client) => client.link?.client.disconnected === false && !client.isConnecting,
    )
    for (const name of FILES) {
      const files = present.flatMap((client) => {
        const file = client.files.get(name)
        return file === undefined ? [] : [{ client, file }]
      })
      this.#checkLeases(name, files)
      this.#checkLocks(name, files)
    }
  }

  /** Who may write alone is alone. */
  #checkLeases(name: string, files: readonly { client: CachingClient; file: CachedFile }[]): void {
    const writer = files.find(({ file }) => file.mayWrite)
    if (writer === undefined) return
    for (const { client, file } of files) {
      if (client === writer.client || (!file.mayRead && !file.mayWrite)) continue
      this.referee.expect(
        client.name,
        `caches ${name} (${file.leaseState}) beside ${writer.client.name} with W`,
      )
    }
  }

  #checkLocks(name: string, files: readonly { client: CachingClient; file: CachedFile }[]): void {
    const owners = new Map<number, Handle>()
    for (const { client, file } of files) {
      for (const handle of file.handles) {
        for (const cell of handle.locked) {
          if (owners.has(cell)) this.referee.expect(client.name, `two hold the lock of ${name}:${cell}`)
          owners.set(cell, handle)
        }
      }
    }
  }

  /** All come back, answer what they were asked, and close what they have; some leave without a word. */
  async #calmDown(): Promise<void> {
    for (let round = 0; round < CALM_ROUNDS && !this.#isCalm(); round++) {
      for (const client of this.#clients) {
        for (const file of client.files.values()) if (file.breaks.length > 0) this.#answer(client, file)
        if (this.#busy.has(client)) continue
        if (client.link === undefined) this.#start(client, 'connect', () => client.connect())
        else this.#closeOne(client)
      }
      this.#buryOne()
      await this.#pass(CALM_MOMENT)
      this.#check()
    }
    for (const [client, what] of this.#busy)
      this.referee.expect(client.name, `never got an answer to ${what}`)
  }

  #isCalm(): boolean {
    return this.#busy.size === 0 && this.#silent.size === 0 && this.#clients.every(isDone)
  }

  #closeOne(client: CachingClient): void {
    for (const file of client.files.values()) {
      for (const handle of file.handles) return this.#start(client, 'close', () => client.close(file, handle))
    }
  }

  /** A stranger finds what was acknowledged. */
  async #checkFiles(): Promise<void> {
    const reader = await SimClient.mount(this.referee.sim, 'reader')
    for (const name of FILES) {
      const { status, response } = await reader.create({ name, desiredAccess: FileAccess.READ_DATA })
      if (response === undefined) {
        this.referee.expect('reader', `cannot open ${name}: 0x${status.toString(16)}`)
        continue
      }
      for (let cell = 0; cell < CELLS; cell++) {
        const { status: end, output } = await reader.read(
          response.fileId,
          CELL_BYTES,
          BigInt(cell * CELL_BYTES),
        )
        if (end !== Status.SUCCESS && end !== Status.END_OF_FILE) {
          this.referee.expect('reader', `cannot read ${name}:${cell}: 0x${end.toString(16)}`)
        } else {
          const problem = this.referee.ledger(name, cell).judgeNow(cellValue(output))
          this.referee.expect('reader', problem && `${name}:${cell} at the end: ${problem}`)
        }
      }
      await reader.close(response.fileId)
    }
    reader.drop()
  }

  async #openLast(): Promise<void> {
    for (const client of this.#clients) {
      await client.open(`last of ${client.name}`, READ_CACHING | WRITE_CACHING | HANDLE_CACHING, true)
    }
  }

  /** Everyone is gone for longer than a handle is kept. */
  async #checkNothingLeft(): Promise<void> {
    // One more handle each, that nobody closes.
    await this.#until(this.#openLast())
    for (const client of this.#clients) client.lose('dropped')
    for (const link of this.#silent) link.bury()
    await this.#pass(DURABLE_END)
    const { server, leases, complaints } = this.referee.sim
    const left = {
      sessions: server.globalSessionTable.size,
      opens: server.globalOpenTable.size,
      connections: server.connectionList.size,
      nodes: [...server.nodes.opens()].length,
      frames: leases.frames,
      payloads: leases.payloads,
      complaints: complaints.length,
    }
    for (const [what, count] of Object.entries(left)) {
      this.referee.expect(
        'server',
        count === 0 ? undefined : `${count} ${what} left: ${complaints.join('; ')}`,
      )
    }
  }
}

/** Enough for everyone to come back and close everything, however slow the disk. */
const CALM_ROUNDS = 200
const CALM_MOMENT = 1000

function isDone({ link, files }: CachingClient): boolean {
  return link !== undefined && files.size === 0
}
