/** The status listener's HTTP interface: page, `/api/status` and `/metrics` to read; closing and reloading with the token. */

import { timingSafeEqual } from 'node:crypto'
import { Hono } from 'hono'
import { secureHeaders } from 'hono/secure-headers'
import ipaddr from 'ipaddr.js'
import type { Outcome } from '../outcome.ts'
import type { RunningServer } from '../serve/running-server.ts'
import { createMetrics } from './metrics.ts'
import { renderPage } from './page.ts'
import { createReport, spaceOf } from './report.ts'

/** Takes shares out of service, with those of the same folder, and back. The values are their names. */
export interface ShareControl {
  pause(share: string, force: boolean): Promise<Outcome<readonly string[]>>
  resume(share: string): Promise<Outcome<readonly string[]>>
}

export interface StatusApiOptions {
  readonly running: RunningServer
  readonly shares: ShareControl
  /** The server's name; also taken as the host in a URL. */
  readonly name: string
  readonly started: Date
  /** What a caller must know to change anything. */
  readonly token: string
}

/** Builds the application; it can be called without a socket. */
export function createStatusApi({ running, shares, name, started, token }: StatusApiOptions): Hono {
  const metrics = createMetrics({
    usage: () => running.usage(),
    space: () => spaceOf(running),
    backups: () => running.backups(),
    pools: () => running.pools(),
  })
  const app = new Hono()
  app.use(secureHeaders({ contentSecurityPolicy: { defaultSrc: ["'none'"], styleSrc: ["'unsafe-inline'"] } }))
  app.use(async (context, next) => {
    // A page of another site whose name was rebound to this address must not read who works on what.
    if (!isOwnHost(new URL(context.req.url).hostname, name)) return context.text('unknown host\n', 403)
    await next()
  })
  app.get('/', async (context) => context.html(renderPage(await createReport(running, name, started))))
  app.get('/api/status', async (context) => context.json(await createReport(running, name, started)))
  app.get('/metrics', async (context) => {
    return context.text(await metrics.metrics(), 200, { 'content-type': metrics.contentType })
  })
  app.post('/api/*', async (context, next) => {
    if (!sameToken(context.req.header('authorization'), token))
      return context.json({ error: 'wrong token' }, 401)
    await next()
  })
  app.post('/api/sessions/:id/close', (context) => {
    return running.closeSession(context.req.param('id'))
      ? context.json({ closed: true })
      : context.json({ error: 'there is no such session' }, 404)
  })
  app.post('/api/files/:id/close', (context) => {
    return running.closeFile(context.req.param('id'))
      ? context.json({ closed: true })
      : context.json({ error: 'there is no such open file' }, 404)
  })
  app.post('/api/shares/:name/pause', async (context) => {
    const isForced = context.req.query('force') === 'true'
    const paused = await shares.pause(context.req.param('name'), isForced)
    return paused.ok ? context.json({ shares: paused.value }) : context.json({ error: paused.message }, 409)
  })
  app.post('/api/shares/:name/resume', async (context) => {
    const resumed = await shares.resume(context.req.param('name'))
    return resumed.ok
      ? context.json({ shares: resumed.value })
      : context.json({ error: resumed.message }, 409)
  })
  return app
}

function isOwnHost(host: string, name: string): boolean {
  const own = [name.toLowerCase(), `${name.toLowerCase()}.local`, 'localhost']
  return own.includes(host) || ipaddr.isValid(host.replace(/^\[(.*)\]$/, '$1'))
}

function sameToken(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header ?? '')
  const expected = Buffer.from(`Bearer ${token}`)
  return given.length === expected.length && timingSafeEqual(given, expected)
}
