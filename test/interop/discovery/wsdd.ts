/** wsdd as a client: a Linux machine that looks for Windows' network neighbours. Its log says what it finds; Debian 12's interface for that does not run on Debian 12's Python. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { python } from '../needs.ts'
import { startOnHost } from './network.ts'

export interface WsddClient {
  /** Lines such as `discovered OCEAN in Workgroup:WORKGROUP on 10.77.0.1%eth0`, and of messages received. */
  log(): Promise<string>
  stop(): Promise<void>
}

export function startWsdd(host: string, directory: string): WsddClient {
  const logFile = join(directory, 'wsdd.log')
  // -o: it does not announce itself.
  const command = [python, '/usr/sbin/wsdd', '-D', '-v', '-s', '-o', '-i', 'eth0']
  const daemon = startOnHost(host, command, logFile)
  return { log: () => readFile(logFile, 'utf8'), stop: () => daemon.stop() }
}
