/** The status page: what `poolhouse status` prints, for a browser. */

import { html } from 'hono/html'
import { formatSize } from '../config/sizes.ts'
import { BACKUP_COLUMNS, backupRow } from './backup-lines.ts'
import { type StatusReport, suspendedPools } from './report.ts'
import { SHARE_COLUMNS, shareRow } from './share-lines.ts'

const STYLE = `body{font:15px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%;margin-bottom:2rem}th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #ddd}
h1{font-size:1.4rem}h2{font-size:1.1rem}@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}th,td{border-color:#444}}`

/** The rows of a table, each a list of cells; every cell is escaped. */
function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]) {
  if (rows.length === 0) return html`<h2>${title}</h2><p>None.</p>`
  return html`<h2>${title}</h2><table><thead><tr>${head.map((cell) => html`<th>${cell}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table>`
}

export function renderPage(report: StatusReport) {
  const { server, shares, backups, sessions, opens, totals } = report
  const size = (bytes: number | undefined): string => (bytes === undefined ? '' : formatSize(bytes))
  return html`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${server.name} - Poolhouse</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="10"><style>${STYLE}</style></head><body>
<h1>${server.name}</h1>
<p>Poolhouse ${server.version}, running since ${server.started}; read ${size(totals.bytesRead)},
written ${size(totals.bytesWritten)}, ${totals.failedLogins} failed logins.</p>
${suspendedPools(report).map((pool) => html`<p><strong>The pool ${pool} is suspended: zpool status ${pool}</strong></p>`)}
${table('Shares', SHARE_COLUMNS, shares.map(shareRow))}
${backups.length === 0 ? '' : table('Backups', BACKUP_COLUMNS, backups.map(backupRow))}
${table(
  'Sessions',
  ['Id', 'User', 'Address', 'Protocol', 'Since'],
  sessions.map((one) => [
    one.id,
    one.user || '(anonymous)',
    one.address,
    `${one.protocol} ${one.dialect}`,
    one.since,
  ]),
)}
${table(
  'Open files',
  ['Id', 'Session', 'Share', 'Path', 'Access', 'Locks'],
  opens.map((one) => [one.id, one.sessionId, one.share, one.path, one.access, String(one.locks)]),
)}
</body></html>`
}
