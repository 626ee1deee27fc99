/** Opens the status listener and notes in the state directory how the command line reaches it. */

import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import type { ListenAddress } from '../config/addresses.ts'
import { formatListenAddress, isUnspecified } from '../config/addresses.ts'
import type { RunningServer } from '../serve/running-server.ts'
import { replaceFile } from '../state/atomic-file.ts'
import { createStatusApi, type ShareControl } from './api.ts'

const TOKEN_BYTES = 32

/** How to reach a running server; private to its user. */
export interface ControlFile {
  /** Without a slash at its end. */
  readonly url: string
  readonly token: string
}

export function controlFile(stateDirectory: string): string {
  return join(stateDirectory, 'control.json')
}

export interface StatusListener {
  readonly url: string
  close(): Promise<void>
}

export interface StatusListenerOptions {
  readonly running: RunningServer
  readonly shares: ShareControl
  readonly name: string
  readonly listen: ListenAddress
  readonly stateDirectory: string
}

/** Rejects when the address cannot be bound. */
export async function openStatusListener(options: StatusListenerOptions): Promise<StatusListener> {
  const { running, shares, name, listen, stateDirectory } = options
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const app = createStatusApi({ running, shares, name, started: new Date(), token })
  const server = createAdaptorServer({ fetch: app.fetch, hostname: listen.host })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(listen.port, listen.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const { port } = server.address() as AddressInfo
  const host = isUnspecified(listen.host) ? (listen.host.includes(':') ? '::1' : '127.0.0.1') : listen.host
  const control: ControlFile = { url: `http://${formatListenAddress({ host, port })}`, token }
  await replaceFile(controlFile(stateDirectory), `${JSON.stringify(control)}\n`)
  return {
    url: `http://${formatListenAddress({ host: listen.host, port })}/`,
    async close() {
      await rm(controlFile(stateDirectory), { force: true })
      if ('closeAllConnections' in server) server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
