/** A test with a simulated server and two clients, at whose end the server has nothing left and nothing to complain of. */

import t, { type Test } from 'tap'
import { isClean } from './sim-checks.ts'
import { createSimServer, type SimServer, type SimServerOptions } from './sim-server.ts'
import { SimClient } from './smb2-client.ts'
import type { CreateFields } from './smb2-requests.ts'

export interface Scene {
  readonly sim: SimServer
  readonly anna: SimClient
  readonly bert: SimClient
}

export function scene(
  name: string,
  play: (t: Test, scene: Scene) => Promise<void>,
  options: SimServerOptions = {},
): void {
  t.test(name, async (t) => {
    const sim = createSimServer(options)
    const [anna, bert] = [await SimClient.mount(sim, 'anna'), await SimClient.mount(sim, 'bert')]
    await play(t, { sim, anna, bert })
    t.same(sim.complaints, [])
    await isClean(t, sim)
  })
}

/** Makes what is missing. */
export async function make(client: SimClient, name: string, createOptions = 0): Promise<void> {
  const { fileId } = await client.create({ name, createOptions })
  await client.close(fileId)
}

/** CREATE, and CLOSE when it succeeded. @returns the action, or "0x" and the status */
export async function attempt(client: SimClient, fields: CreateFields): Promise<number | string> {
  const { status, response } = await client.create(fields)
  if (response === undefined) return hex(status)
  await client.close(response.fileId)
  return response.createAction
}

export function hex(status: number): string {
  return `0x${status.toString(16)}`
}
