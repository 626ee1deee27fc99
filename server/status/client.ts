/** The command line's side of the status listener: finds the running server through its state directory. */

import { readFile } from 'node:fs/promises'
import type { Outcome } from '../outcome.ts'
import { done, failed } from '../outcome.ts'
import type { ControlFile } from './listener.ts'
import { controlFile } from './listener.ts'
import type { StatusReport } from './report.ts'

const TIMEOUT_MILLISECONDS = 10_000
/** All clients of a share are ended, and all datasets are looked at. */
const PAUSE_MILLISECONDS = 120_000

export function fetchReport(stateDirectory: string): Promise<Outcome<StatusReport>> {
  return callServer<StatusReport>(stateDirectory, 'GET', '/api/status')
}

export function closeSession(stateDirectory: string, id: string): Promise<Outcome<unknown>> {
  return callServer(stateDirectory, 'POST', `/api/sessions/${encodeURIComponent(id)}/close`)
}

export function closeFile(stateDirectory: string, id: string): Promise<Outcome<unknown>> {
  return callServer(stateDirectory, 'POST', `/api/files/${encodeURIComponent(id)}/close`)
}

/** Takes a share out of service, with those of the same folder: nothing of it stays open. */
export function pauseShare(stateDirectory: string, name: string, force: boolean): Promise<Outcome<unknown>> {
  return callServer(
    stateDirectory,
    'POST',
    `/api/shares/${encodeURIComponent(name)}/pause?force=${force}`,
    PAUSE_MILLISECONDS,
  )
}

export function resumeShare(stateDirectory: string, name: string): Promise<Outcome<unknown>> {
  return callServer(
    stateDirectory,
    'POST',
    `/api/shares/${encodeURIComponent(name)}/resume`,
    PAUSE_MILLISECONDS,
  )
}

async function callServer<T>(
  stateDirectory: string,
  method: string,
  path: string,
  limit = TIMEOUT_MILLISECONDS,
): Promise<Outcome<T>> {
  const control = await readControl(stateDirectory)
  if (!control.ok) return control
  const { url, token } = control.value
  try {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(limit),
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
