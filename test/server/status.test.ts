/** The status listener's HTTP interface, called without a socket, and what the log lets through. */

import t from 'tap'
import { Events } from '../../server/events.ts'
import { createLogger } from '../../server/logging/logger.ts'
import { done, failed } from '../../server/outcome.ts'
import { createStatusApi } from '../../server/status/api.ts'
import { FAKE_BACKUPS, FAKE_POOLS, FAKE_STATUS, FAKE_USAGE } from './fake-status.ts'

t.test('the status interface', async (t) => {
  const app = createStatusApi({
    running: {
      listeners: [],
      announcements: () => [],
      shares: () => [{ name: 'gone', path: '/no/such/folder' }],
      reload: () => Promise.resolve(),
      releaseShares: () => Promise.resolve(),
      status: () => FAKE_STATUS,
      usage: () => FAKE_USAGE,
      backups: () => FAKE_BACKUPS,
      pools: () => FAKE_POOLS,
      events: new Events(() => undefined),
      closeSession: (id) => id === '17',
      closeFile: () => false,
      close: () => Promise.resolve(),
    },
    shares: {
      pause: async (name, force) =>
        force ? done([name]) : failed('clients have 1 files or folders open: work/a'),
      resume: async (name) => failed(`share "${name}" is not paused`),
    },
    name: 'Ocean',
    started: new Date(0),
    token: 'right',
  })
  const ask = (path: string, init?: RequestInit, host = '127.0.0.1') =>
    app.request(`http://${host}${path}`, init)
  const page = await ask('/')
  t.match(await page.text(), /<h1>Ocean<\/h1>[\s\S]*anna&lt;b&gt;/, 'names of users are escaped')
  t.match(await (await ask('/')).text(), /pool tank is suspended: zpool status tank/)
  t.match(page.headers.get('content-security-policy'), /default-src 'none'/)
  t.match(await (await ask('/api/status')).json(), {
    server: { name: 'Ocean', started: '1970-01-01T00:00:00.000Z' },
    shares: [{ name: 'gone' }],
  })
  const metrics = await (await ask('/metrics')).text()
  t.match(metrics, /^poolhouse_sessions 1$/m)
  t.match(metrics, /^poolhouse_read_bytes_total 1048576$/m)
  t.match(metrics, /^poolhouse_open_files 3$/m)
  t.match(metrics, /^poolhouse_watches 5$/m)
  t.match(metrics, /^poolhouse_backup_age_seconds\{share="backup",mac="Anna's <Mac>",bundle=.*\} 900$/m)
  t.match(metrics, /^poolhouse_pool_suspended\{pool="tank"\} 1$/m)
  t.match(metrics, /^poolhouse_pool_suspended\{pool="other"\} 0$/m)
  t.match(metrics, /^poolhouse_backup_stale\{.*\} 1$/m)
  t.match(metrics, /^poolhouse_limit\{what="open_files"\} 12$/m)
  t.match(metrics, /^poolhouse_limit_used_ratio\{what="open_files"\} 0.25$/m)
  t.match(metrics, /^poolhouse_refused_by_limit_total\{what="open_files"\} 7$/m)
  t.match(metrics, /^process_resident_memory_bytes \d+$/m)
  t.match(
    await (await ask('/metrics')).text(),
    /^poolhouse_requests_total 400$/m,
    'asked twice, not counted twice',
  )
  for (const host of ['evil.example', 'ocean.evil.example'])
    t.equal((await ask('/api/status', {}, host)).status, 403)
  for (const host of ['localhost', '[::1]', 'ocean', 'ocean.local', '192.0.2.1:4480']) {
    t.equal((await ask('/api/status', {}, host)).status, 200, host)
  }
  const post = (path: string, token?: string) =>
    ask(path, { method: 'POST', headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })
  t.equal((await post('/api/sessions/17/close')).status, 401)
  t.equal((await post('/api/sessions/17/close', 'wrong')).status, 401)
  t.equal((await post('/api/sessions/17/close', 'right')).status, 200)
  t.equal((await post('/api/sessions/1/close', 'right')).status, 404)
  t.equal((await post('/api/files/1/close', 'right')).status, 404)
  t.equal((await post('/api/shares/work/pause?force=true')).status, 401)
  t.match(await (await post('/api/shares/work/pause', 'right')).json(), { error: /1 files/ })
  t.match(await (await post('/api/shares/my%20work/pause?force=true', 'right')).json(), {
    shares: ['my work'],
  })
  t.equal((await post('/api/shares/work/resume', 'right')).status, 409)
  t.equal((await ask('/api/sessions/17/close')).status, 404, 'GET changes nothing')
})

t.test('the log', async (t) => {
  let written = ''
  const write = (line: string): void => {
    written += line
  }
  const log = createLogger({ level: 'info', format: 'json' }, { write })
  log.debug('not this')
  log.info(
    { id: 2n ** 60n, bytes: Buffer.alloc(40, 1), user: { name: 'a', ntHash: 'x', password: 'p' } },
    'hello',
  )
  log.error({ err: Object.assign(new Error('broken'), { sessionKey: 'k' }) }, 'failed')
  const [first = '', second = ''] = written.split('\n')
  t.match(JSON.parse(first), {
    level: 'info',
    msg: 'hello',
    id: '1152921504606846976',
    bytes: `${'01'.repeat(32)}... (40 bytes)`,
    user: { name: 'a', ntHash: '[secret]', password: '[secret]' },
  })
  t.match(JSON.parse(second), { err: { message: 'broken', sessionKey: '[secret]', stack: /broken/ } })
})
