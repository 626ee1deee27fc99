/** A server with the shares that smbtorture's plan names, and the tests that run against it one after the other. */

import { chown, link, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { alice, bob, makeShareDirectory, nasAdministrator } from '../environment.ts'
import { smbtortureRoot } from '../needs.ts'
import { succeed } from '../process.ts'
import { against, startServer } from '../server.ts'
import type { Server, Share } from '../server-process.ts'
import { linesOf, type PlanRow, type TestName } from './plan.ts'

/** The plan names this share where it wants a second server that insists on signing. */
const signingShare = '@alt'
/** Microseconds that the tests wait for a share mode and for a write time, as in the reference run. */
const tortureOptions = '--option=torture:sharedelay=100000 --option=torture:writetimeupdatedelay=500000'

type Owner = Parameters<typeof makeShareDirectory>[1]

/** Where a lane's shares are. */
export interface LaneDirectories {
  /** Configuration, state and results. */
  readonly base: string
  /** On XFS. */
  readonly data: string
  /** On btrfs. */
  readonly btrfs: string
}

/** Of the one snapshot of the share shadow_write. */
const snapshot = '@GMT-2015.10.31-19.40.30'

/** A file with a stream, and one that live tree and snapshot have in common. */
async function makeSnapshot(share: string, owner: Owner): Promise<void> {
  const old = join(share, '.snapshots', snapshot)
  for (const path of ['.snapshots', join('.snapshots', snapshot)]) {
    await makeShareDirectory(join(share, path), owner, 0o755)
  }
  for (const tree of [share, old]) {
    await makeShareDirectory(join(tree, 'subdir'), owner, 0o755)
    await writeFile(join(tree, 'foo'), 'content\n')
  }
  // Samba's form: a NUL follows the bytes of the stream.
  const stream = ['-n', 'user.DosStream.bar:$DATA', '-v', `0x${Buffer.from('baz\0').toString('hex')}`]
  await succeed('setfattr', [...stream, join(old, 'foo')], { seconds: 10 })
  await writeFile(join(share, 'subdir/hardlink'), '')
  await link(join(share, 'subdir/hardlink'), join(old, 'subdir/hardlink'))
  for (const file of [join(share, 'foo'), join(old, 'foo'), join(share, 'subdir/hardlink')]) {
    if (owner !== undefined) await chown(file, owner.uid, owner.gid)
  }
}

/** One test's end: 'success', or what run.sh calls it, with its reason. */
export interface Result {
  readonly test: TestName
  readonly result: string
  readonly reason: string
}

export class Lane {
  readonly servers: readonly Server[]
  readonly #directories: LaneDirectories
  #runs = 0

  private constructor(directories: LaneDirectories, servers: readonly Server[]) {
    this.#directories = directories
    this.servers = servers
  }

  static async start(directories: LaneDirectories, owner: Owner): Promise<Lane> {
    const { base, data, btrfs } = directories
    await mkdir(base, { recursive: true })
    for (const path of [data, btrfs]) await makeShareDirectory(path, owner, 0o755)
    for (const name of ['share', 'shadow', 'signing', 'backups'])
      await makeShareDirectory(join(data, name), owner)
    await makeShareDirectory(join(btrfs, 'share'), owner)
    await makeShareDirectory(join(data, 'noperm'), undefined, 0)
    await makeSnapshot(join(data, 'shadow'), owner)
    const main = await startServer({
      directory: join(base, 'main'),
      accounts: [alice, bob, nasAdministrator],
      shares: sharesOf(directories),
      // vfs.fruit compares Apple's context with Samba's, whose length depends on the model.
      server: { model: 'MacSamba' },
      // Anonymous sessions for smb2.session.reauth; the private FSCTLs that some tests ask servers for.
      smb: { anonymous: true, smbtorture_fsctls: true },
    })
    const signing = await startServer({
      directory: join(base, 'signing'),
      accounts: [alice],
      shares: [{ name: 'share', path: join(data, 'signing') }],
      smb: { signing: 'required' },
    })
    return new Lane(directories, [main, signing])
  }

  /** Runs tests by the peers' runner. @throws CheckError when it does not end in time */
  async run(rows: readonly PlanRow[], limitSeconds: number): Promise<readonly Result[]> {
    if (rows.length === 0) return []
    const { base, data, btrfs } = this.#directories
    const [main, signing] = this.servers
    const run = join(base, `run${this.#runs++}`)
    await mkdir(run)
    const file = (name: string) => join(run, name)
    await writeFile(file('plan.tsv'), `${rows.map(lineOf).join('\n')}\n`)
    await writeFile(file('shares.tsv'), `${signingShare}\tshare:${signing?.port}\n`)
    const local = join(data, 'share')
    const shares = `${local} ${join(data, 'backups')} ${join(btrfs, 'share')}`
    const torture = join(run, 'torture')
    await mkdir(torture)
    await writeFile(join(torture, 'smb.conf'), netConfiguration(torture, local))
    const args = [
      ...['-H', '127.0.0.1', '-p', String(main?.port), '-s', 'share', '-l', local],
      ...['-m', file('shares.tsv'), '-P', file('plan.tsv'), '-o', file('results.tsv')],
      ...['-u', alice.name, '-w', alice.password, '-U', bob.name, '-W', bob.password],
      ...['-A', nasAdministrator.name, '-B', nasAdministrator.password],
      ...['-C', `find ${shares} -mindepth 1 -delete`, '-e', tortureOptions],
    ]
    const env = { SMBTORTURE_DIR: torture }
    await succeed(join(smbtortureRoot, 'run.sh'), args, { seconds: limitSeconds, env })
    return readResults(file('results.tsv'))
  }
}

/**
 * As Apple's own server we announce that a volume resolves ids and syncs fully, whether it is for backups or not. smbtorture
 * expects that when it is told that it talks to one.
 */
const VOLUME_AS_APPLES = /^vfs\.fruit\.SMB2\/CREATE context AAPL/

function lineOf({ test, line }: PlanRow): string {
  return against === 'poolhouse' && VOLUME_AS_APPLES.test(test) ? `${line} --option=torture:osx=yes` : line
}

async function readResults(path: string): Promise<readonly Result[]> {
  const [, ...lines] = linesOf(await readFile(path, 'utf8'))
  return lines.map((line) => {
    const [test = '', variant = '', result = '', , reason = ''] = line.split('\t')
    return { test: variant === '' ? test : `${test} [${variant}]`, result, reason }
  })
}

/** The shares that the tests name; samba/smb.conf.in of the plan says what each is. */
function sharesOf({ data, btrfs }: LaneDirectories): Share[] {
  const share = (name: string, path: string, keys: Partial<Share> = {}): Share => ({
    ...{ name, path, hide_dot_files: false, admin_users: [nasAdministrator.name] },
    ...(keys as Record<string, never>),
  })
  const main = join(data, 'share')
  return [
    share('share', main),
    share('aio', main),
    share('compound_find', main),
    share('tmpenc', main, { encryption: 'required' }),
    share('hideunread', main, { hide_unreadable: true }),
    share('delete_readonly', main, { delete_readonly: true }),
    share('dosmode', main, { hide_dot_files: true, hide_files: ['hidefile'] }),
    share('fs_specific', join(btrfs, 'share')),
    share('shadow_write', join(data, 'shadow'), { snapshot_folder: '.snapshots' }),
    share('noperm', join(data, 'noperm')),
    ...macSharesOf(data).map(({ name, path, ...keys }) => share(name, path, keys)),
  ]
}

/** Shares of one directory that keep Macs' streams in different ways, or know nothing of them. */
function macSharesOf(data: string): Share[] {
  const path = join(data, 'share')
  const inFiles = { fruit_metadata: 'stream', fruit_resource: 'file', hide_apple_double: false }
  const asNetatalk = { ...inFiles, fruit_locking: 'netatalk', fruit_metadata: 'netatalk' }
  return [
    { name: 'vfs_fruit', path, ...asNetatalk },
    { name: 'vfs_fruit_xattr', path, ...asNetatalk },
    { name: 'vfs_fruit_metadata_stream', path, ...inFiles },
    { name: 'vfs_fruit_stream_depot', path, hide_apple_double: false },
    { name: 'vfs_fruit_wipe_intentionally_left_blank_rfork', path, ...inFiles },
    // What is shown as streams is not listed as a file, whether it could be removed or not.
    { name: 'vfs_fruit_delete_empty_adfiles', path, ...inFiles, hide_apple_double: true },
    { name: 'vfs_fruit_zero_fileid', path, ...inFiles, fruit_zero_file_id: true },
    { name: 'vfs_fruit_timemachine', path: join(data, 'backups'), time_machine: true, max_size: '32K' },
    ...['tmp', 'vfs_wo_fruit', 'vfs_wo_fruit_stream_depot'].map((name) => ({ name, path, fruit: false })),
    { name: 'acl_xattr_ign_sysacl_posix', path, default_acl_style: 'posix', create_mask: '0666' },
    { name: 'acl_xattr_ign_sysacl_windows', path },
  ]
}

/** For `net vfs`, with which a test has streams turned into sidecars as Samba would: everything it writes stays below a directory. */
function netConfiguration(directory: string, share: string): string {
  const directories = ['private dir', 'state directory', 'lock directory', 'cache directory', 'pid directory']
  const lines = [
    ...['[global]', ...directories.map((key) => `${key} = ${directory}`)],
    `ncalrpc dir = ${join(directory, 'ncalrpc')}`,
    ...['[vfs_fruit]', `path = ${share}`, 'vfs objects = catia fruit streams_xattr acl_xattr'],
    ...['fruit:resource = file', 'fruit:metadata = netatalk', 'fruit:encoding = native', 'read only = no'],
  ]
  return `${lines.join('\n')}\n`
}
