/** sshd(8), command=: carries out one permitted command of a replication key; its standard streams are the client's. */

import { spawn } from 'node:child_process'
import { runZfs } from '../../storage/zfs/command.ts'
import { REASON_PROPERTY, SNAPSHOT_REASONS } from '../../storage/zfs/snapshot.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import {
  datasetOfToken,
  type Grant,
  isBelow,
  type PermittedCommand,
  permitCommand,
} from './replication-guard.ts'
import { commandEnvironment, createCommandRunner, whyNotStarted } from './run-command.ts'

/** @param line what the client asked for @returns zfs' exit code, or why nothing was done */
export async function serveReplication(line: string, grant: Grant): Promise<Outcome<number>> {
  const permitted = permitCommand(line, grant)
  if (!permitted.ok) return permitted
  const objection = await whyNot(permitted.value, grant)
  return objection === undefined ? runThrough(permitted.value.args) : failed(objection)
}

/** What only ZFS can tell about a command. */
async function whyNot({ ownSnapshot, token }: PermittedCommand, grant: Grant): Promise<string | undefined> {
  const run = createCommandRunner()
  if (ownSnapshot !== undefined) {
    const value = await runZfs(run, 'zfs', ['get', '-H', '-o', 'value', REASON_PROPERTY, ownSnapshot])
    if (!SNAPSHOT_REASONS.some((reason) => reason === value.trim())) {
      return `${ownSnapshot} was not made by poolhouse; this key destroys nothing of others`
    }
  }
  if (token !== undefined) {
    const { stdout, stderr } = await run('zfs', ['send', '-nv', '-t', token])
    const dataset = datasetOfToken(stdout + stderr)
    // What is gone cannot be sent: zfs says so itself.
    if (dataset === undefined ? !/cannot resume send/.test(stderr) : !isBelow(grant.root, dataset)) {
      return `this key sends only datasets below "${grant.root}", and the token is of another`
    }
  }
  return undefined
}

function runThrough(args: readonly string[]): Promise<Outcome<number>> {
  return new Promise((resolve) => {
    const child = spawn('zfs', [...args], { stdio: 'inherit', env: commandEnvironment() })
    child.once('error', (error: NodeJS.ErrnoException) => {
      resolve(failed(whyNotStarted('zfs', error.code, error.message)))
    })
    child.once('close', (code) => resolve(done(code ?? 1)))
  })
}

/** Words that need no quotes in authorized_keys, nor in the shell that sshd starts. */
const SAFE_PATH = /^[A-Za-z0-9_./-]+$/
const PUBLIC_KEY = /^(?:ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ [A-Za-z0-9+/=]+(?: [^"\n]*)?$/

/** The line for authorized_keys that lets a key do just this. */
export function authorizedKeysLine(publicKey: string, program: string, grant: Grant): Outcome<string> {
  const key = publicKey.trim()
  if (!PUBLIC_KEY.test(key)) return failed('it is no public key of OpenSSH; give the file that ends in .pub')
  const called = SAFE_PATH.test(program) ? program : 'poolhouse'
  const words = [called, 'replicate', 'serve', '--root', grant.root]
  if (grant.thin) words.push('--thin')
  if (grant.send) words.push('--send')
  return done(`restrict,command="${words.join(' ')}" ${key}`)
}
