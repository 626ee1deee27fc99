/** Memory given back by a quiet server: after enough work, once, and not amid it. */

import type { EventLoopUtilization } from 'node:perf_hooks'
import pino from 'pino'
import t from 'tap'
import { IdleMemory } from '../../server/serve/idle-memory.ts'

/** A loop whose work and rest are told, and looks that are made by hand. */
function frame() {
  const looks: (() => void)[] = []
  const loop = { active: 0, idle: 0 }
  const seen = { givenBack: 0 }
  const memory = new IdleMemory({
    log: pino({ level: 'silent' }),
    utilization: (): EventLoopUtilization => ({
      ...loop,
      utilization: loop.active / (loop.active + loop.idle),
    }),
    giveBack: () => void seen.givenBack++,
    after: (_milliseconds, work) => {
      looks.push(work)
      return () => void looks.splice(looks.indexOf(work), 1)
    },
  })
  const pass = async (active: number, idle: number): Promise<void> => {
    loop.active += active
    loop.idle += idle
    looks.shift()?.()
    await new Promise(setImmediate)
  }
  return { memory, looks, seen, pass }
}

t.test('after work, when it is quiet, once', async (t) => {
  const { memory, seen, pass } = frame()
  await pass(0, 5000)
  t.equal(seen.givenBack, 0, 'nothing was done yet')
  await pass(1500, 3500)
  await pass(1500, 3500)
  t.equal(seen.givenBack, 0, 'it works')
  await pass(100, 4900)
  t.equal(seen.givenBack, 1)
  await pass(100, 4900)
  t.equal(seen.givenBack, 1, 'nothing new was left behind')
  await pass(3000, 2000)
  await pass(0, 5000)
  t.equal(seen.givenBack, 2)
  await memory.close()
})

t.test('a little work adds up', async (t) => {
  const { memory, seen, pass } = frame()
  await pass(0, 5000)
  for (let look = 0; look < 9; look++) await pass(200, 4800)
  t.equal(seen.givenBack, 0)
  await pass(200, 4800)
  t.equal(seen.givenBack, 1)
  await memory.close()
})

t.test('closed, it looks no more', async (t) => {
  const { memory, looks, pass } = frame()
  await pass(0, 5000)
  await memory.close()
  t.equal(looks.length, 0)
})

t.test('by itself it says what it has given back', async (t) => {
  const looks: (() => void)[] = []
  const lines: { readonly level: number; readonly before?: number; readonly after?: number }[] = []
  let loop = { active: 0, idle: 0, utilization: 0 }
  const memory = new IdleMemory({
    log: pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    utilization: () => loop,
    after: (_milliseconds, work) => {
      looks.push(work)
      return () => undefined
    },
  })
  loop = { active: 1e4, idle: 1e6, utilization: 0.01 }
  looks.shift()?.()
  await memory.close()
  t.equal(lines.length, 1)
  t.equal(lines[0]?.level, pino.levels.values['debug'])
  t.ok((lines[0]?.before ?? 0) > 0)
  t.ok((lines[0]?.after ?? 0) > 0)
})
