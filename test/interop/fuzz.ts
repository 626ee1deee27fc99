/** Bad frames on many connections to a living server, while a well-behaved client goes on working. */

import { randomInt } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from '../../protocols/smb2/messages/commands.ts'
import { alice } from './environment.ts'
import { type RecordedFrame, startRecorder } from './fuzz/corpus.ts'
import { mutate, type Shot, shotsOf } from './fuzz/mutation.ts'
import { FuzzSession } from './fuzz/session.ts'
import { RawConnection } from './fuzz/wire.ts'
import { needs } from './needs.ts'
import { succeed } from './process.ts'
import { CheckError, expect, type Report } from './report.ts'
import { delay } from './server-process.ts'
import { type Ground, onGround, type Suite, sealedShareName } from './suite.ts'
import { noise } from './tree.ts'

/** How long the server is attacked; `npm run fuzz` takes ten minutes. Read late: the runner sets it. */
const attackSeconds = () => Number(process.env['POOLHOUSE_FUZZ_SECONDS'] ?? 20)
const firstSeed = Number(process.env['POOLHOUSE_FUZZ_SEED'] ?? randomInt(0x7fff_ffff))

const parallelConnections = 8
const shotsPerConnection = 60
/** A server that is neither answering nor closing for this long hangs. */
const silenceMilliseconds = 15_000
/** Before the session: every n-th connection fires without logging on. */
const anonymousEvery = 3
const clientSeconds = 30
/** The resident set may grow by this much over what it was before the attack. */
const maxGrowthBytes = 150 * 1024 * 1024
const sharedFile = 'well-behaved.bin'

export const fuzzSuite: Suite = {
  name: 'fuzz',
  about: 'bad frames on many connections while a good client works',
  needs: [needs.smbclient],
  get limitSeconds() {
    return attackSeconds() + 180
  },
  run: (report, directory) => onGround(report, directory, (ground) => fuzz(report, ground)),
}

async function fuzz(report: Report, ground: Ground): Promise<void> {
  let corpus: readonly RecordedFrame[] = []
  const hasCorpus = await report.check('records the frames of a valid session', async () => {
    corpus = await recordCorpus(ground)
    const commands = new Set(corpus.map((frame) => frame.command))
    for (const wanted of [
      Command.CREATE,
      Command.READ,
      Command.WRITE,
      Command.QUERY_DIRECTORY,
      Command.SET_INFO,
    ]) {
      expect(commands.has(wanted), `no command ${wanted} among ${corpus.length} frames`)
    }
  })
  if (!hasCorpus) {
    return
  }
  report.note(`seed ${firstSeed}; POOLHOUSE_FUZZ_SEED=${firstSeed} starts the same attack`)
  const before = await residentBytes(ground.server.pid)
  const state = { end: Date.now() + attackSeconds() * 1000, connections: 0, shots: 0 }
  await report.check(`stands ${attackSeconds()} s of bad frames; a good client goes on`, async () => {
    const attackers = Array.from({ length: parallelConnections }, () => attack(ground, corpus, state))
    await Promise.all([...attackers, behaveWell(ground, state)])
  })
  report.note(`${state.shots} frames on ${state.connections} connections`)
  await report.check('is alive, and its log tells of no internal error', async () => {
    expect(ground.server.alive(), 'the server died')
    const errors = (await ground.server.log()).split('\n').filter(isErrorLine)
    expect(errors.length === 0, `${errors.length} errors:\n${errors.slice(0, 10).join('\n')}`)
  })
  await report.check('gives its memory back', async () => {
    await delay(3000, undefined)
    const growth = (await residentBytes(ground.server.pid)) - before
    expect(growth <= maxGrowthBytes, `the resident set grew by ${Math.round(growth / 2 ** 20)} MiB`)
  })
}

interface AttackState {
  /** Milliseconds since 1970. */
  readonly end: number
  connections: number
  shots: number
}

async function attack(ground: Ground, corpus: readonly RecordedFrame[], state: AttackState): Promise<void> {
  while (Date.now() < state.end) {
    const number = state.connections
    state.connections += 1
    const seed = (firstSeed + number) % 0x7fff_ffff
    const shots = shotsOf(seed, shotsPerConnection)
    const isAnonymous = number % anonymousEvery === 0
    await (isAnonymous ? attackAnonymously : attackInSession)(ground, corpus, shots, state).catch(
      (error: unknown) => {
        throw new CheckError(
          `connection ${number}, seed ${seed}: ${error instanceof Error ? error.message : String(error)}`,
        )
      },
    )
  }
}

async function attackInSession(
  ground: Ground,
  corpus: readonly RecordedFrame[],
  shots: readonly Shot[],
  state: AttackState,
): Promise<void> {
  const session = new FuzzSession(ground.server.port)
  try {
    await session.open(alice, ground.share)
    for (const shot of shots) {
      const frame = corpus[shot.choice % corpus.length]
      if (frame === undefined || session.connection.isClosed) {
        break
      }
      session.connection.send(mutate(session.adopt(frame.bytes, frame.command), shot.mutations))
      state.shots += 1
      // Answers keep the pace; a frame that waits for more bytes has none.
      await session.connection.next(20)
    }
    if (claimsMore(shots)) {
      return
    }
    expect(await session.answersOrCloses(silenceMilliseconds), 'the connection stays open and silent')
  } finally {
    session.connection.close()
  }
}

async function attackAnonymously(
  ground: Ground,
  corpus: readonly RecordedFrame[],
  shots: readonly Shot[],
  state: AttackState,
): Promise<void> {
  const connection = new RawConnection(ground.server.port)
  const opening = corpus.filter((frame) => frame.command <= Command.SESSION_SETUP)
  try {
    for (const shot of shots) {
      // The beginning of a session mostly, so that negotiation and logon see bad frames too.
      const source = shot.choice % 4 === 0 ? corpus : opening
      const frame = source[shot.choice % source.length]
      if (frame === undefined || connection.isClosed) {
        break
      }
      connection.send(mutate(frame.bytes, shot.mutations))
      state.shots += 1
      await connection.next(20)
    }
  } finally {
    connection.close()
  }
}

/** Did a shot announce more bytes than it sent? Then the server waits for them, and rightly so. */
function claimsMore(shots: readonly Shot[]): boolean {
  return shots.some((shot) =>
    shot.mutations.some((change) => change.kind === 'oversized' || change.kind === 'wrong-length'),
  )
}

/** The good client: writes, reads back and lists until the attack is over. */
async function behaveWell(ground: Ground, state: AttackState): Promise<void> {
  const target = { port: ground.server.port, share: sealedShareName, dialect: 'SMB3_11' }
  let rounds = 0
  while (Date.now() < state.end) {
    await smbclient(ground, target, `put ${sharedFile}; get ${sharedFile} back.bin; ls ${sharedFile}`)
    const [sent, received] = await Promise.all([local(ground, sharedFile), local(ground, 'back.bin')])
    expect(sent.equals(received), `round ${rounds}: the good client read something else than it wrote`)
    rounds += 1
    await delay(200, undefined)
  }
  expect(rounds > 0, 'the good client did nothing')
}

async function recordCorpus(ground: Ground): Promise<readonly RecordedFrame[]> {
  await writeFile(join(ground.local, sharedFile), noise(200_000, 3))
  const recorder = await startRecorder(ground.server.port)
  const script = [
    `put ${sharedFile}; get ${sharedFile} back.bin; ls; allinfo ${sharedFile}; mkdir folder; cd folder`,
    `put ${sharedFile} a.bin; rename a.bin b.bin; setmode b.bin +h; utimes b.bin 2020:01:01-00:00:00 -1 -1 -1`,
    'scopy b.bin c.bin; stat c.bin; volume; du; del b.bin; del c.bin; cd ..; rmdir folder',
  ]
  await smbclient(ground, { port: recorder.port, share: ground.share, dialect: 'SMB2_10' }, script.join('; '))
  recorder.close()
  return recorder.frames
}

/** Dialect 2.1 is recorded, because its frames hold in another session; the good client encrypts, on a share of its own. */
function smbclient(
  ground: Ground,
  target: { port: number; share: string; dialect: string },
  script: string,
): Promise<string> {
  const args = [
    ...[`//127.0.0.1/${target.share}`, '-s', '/dev/null', '-p', String(target.port)],
    ...['-U', `${alice.name}%${alice.password}`, '-c', script],
    ...[`--option=client min protocol=${target.dialect}`, `--option=client max protocol=${target.dialect}`],
  ]
  return succeed('smbclient', args, { seconds: clientSeconds, cwd: ground.local })
}

function local(ground: Ground, name: string): Promise<Buffer> {
  return readFile(join(ground.local, name))
}

/** pino's levels: 50 is error, 60 fatal. */
function isErrorLine(line: string): boolean {
  return /"level":(?:50|60)\b/.test(line) || /^\s*(?:Error|TypeError|RangeError|AssertionError)\b/.test(line)
}

/** The resident set of a process, in bytes: the second field of statm counts pages of 4 KiB. */
async function residentBytes(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ')
  return Number(fields[1]) * 4096
}
