/** The command line's side of the status listener: finds the running server through its state directory. */

import { readFile } from 'node:fs/promises'
import type { Outcome } from '../outcome.ts'
import { done, failed } from '../outcome.ts'
import type { ControlFile } from './listener.ts'
import { controlFile } from './listener.ts'
import type { StatusReport } from './report.ts'

const TIMEOUT_MILLISECONDS = 10_000

export function fetchReport(stateDirectory: string): Promise<Outcome<StatusReport>> {
  return callServer<StatusReport>(stateDirectory, 'GET', '/api/status')
}

export function closeSession(stateDirectory: string, id: string): Promise<Outcome<unknown>> {
  return callServer(stateDirectory, 'POST', `/api/sessions/${encodeURIComponent(id)}/close`)
}

export function closeFile(stateDirectory: string, id: string): Promise<Outcome<unknown>> {
  return callServer(stateDirectory, 'POST', `/api/files/${encodeURIComponent(id)}/close`)
}

async function callServer<T>(stateDirectory: string, method: string, path: string): Promise<Outcome<T>> {
  const control = await readControl(stateDirectory)
  if (!control.ok) return control
  const { url, token } = control.value
  try {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
    })
    const body = (await response.json()) as T & { error?: string }
    return response.ok ? done(body) : failed(body.error ?? `the server answered ${response.status}`)
  } catch (error) {
    const { message, cause } = error as Error
    const reason = cause instanceof Error ? cause.message : message
    return failed(`no server answers at ${url} (${reason}); is it still running?`)
  }
}

async function readControl(stateDirectory: string): Promise<Outcome<ControlFile>> {
  const file = controlFile(stateDirectory)
  try {
    return done(JSON.parse(await readFile(file, 'utf8')) as ControlFile)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      return failed(`${file} cannot be read: permission denied; run as the user the server runs as`)
    }
    return failed(
      `no server with a status listener runs on ${stateDirectory}; start it: poolhouse serve (and see [status] enabled)`,
    )
  }
}
