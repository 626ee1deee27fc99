/** The command line: every command with its options, and how usage errors end. */

import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { packageVersion } from '../version.ts'
import type { CheckOptions } from './check.ts'
import type { CloneOptions } from './clone.ts'
import type { CommandContext, CommonOptions } from './context.ts'
import { ExitCode } from './context.ts'
import type { InitOptions } from './init.ts'
import type { PullOptions, PushOptions, ReplicateOptions } from './replicate.ts'
import type { GrantOptions } from './replication-key.ts'
import type { RestoreOptions } from './restore.ts'
import type { ServeOptions } from './serve.ts'
import type { SnapshotOptions } from './snapshot.ts'
import type { StatusOptions } from './status.ts'
import type { AddOptions, ListOptions, PasswordOptions } from './user.ts'

/** A command loads what it needs when it runs: a replication starts one on the other machine for each of its questions. */
const commands = {
  check: () => import('./check.ts'),
  clone: () => import('./clone.ts'),
  init: () => import('./init.ts'),
  replicate: () => import('./replicate.ts'),
  replicationKey: () => import('./replication-key.ts'),
  restore: () => import('./restore.ts'),
  serve: () => import('./serve.ts'),
  snapshot: () => import('./snapshot.ts'),
  status: () => import('./status.ts'),
  user: () => import('./user.ts'),
}

const FILE_DESCRIPTOR_MAXIMUM = 1023

type Finish = (running: Promise<ExitCode>) => Promise<void>

/**
 * Runs one command.
 *
 * @param args without the program's own name
 * @returns the exit code: 0 done, 1 failed or findings, 2 usage or configuration
 */
export async function runCommand(args: readonly string[], context: CommandContext): Promise<ExitCode> {
  let code: ExitCode = ExitCode.done
  const program = createProgram(context, async (running) => {
    code = await running
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? ExitCode.done : ExitCode.usage
  }
}

function createProgram(context: CommandContext, finish: Finish): Command {
  const program = new Command('poolhouse')
    .description('A file server for ZFS boxes and other Linux hosts')
    .version(packageVersion())
    .exitOverride()
    .showHelpAfterError('(see poolhouse --help)')
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
    })
  addServe(program, context, finish)
  addInit(program, context, finish)
  addCheck(program, context, finish)
  addUserCommands(program, context, finish)
  addStatusCommands(program, context, finish)
  addSnapshotCommands(program, context, finish)
  addReplicateCommands(program, context, finish)
  addRestore(program, context, finish)
  return program
}

function configOption(): Option {
  return new Option(
    '--config <file>',
    'configuration (default: ./poolhouse.toml, /etc/poolhouse/poolhouse.toml, built-in)',
  )
}

function addServe(program: Command, context: CommandContext, finish: Finish): void {
  program
    .command('serve')
    .description('run the server in the foreground')
    .addOption(configOption())
    .option(
      '--ready-fd <n>',
      'write "ready" to this file descriptor when clients can connect',
      fileDescriptor,
    )
    .option('--public', 'without a configuration: standard ports on all addresses (needs root)')
    .action((options: ServeOptions) => finish(commands.serve().then(({ serve }) => serve(context, options))))
}

function fileDescriptor(text: string): number {
  const fd = Number(text)
  if (!/^\d+$/.test(text) || fd > FILE_DESCRIPTOR_MAXIMUM)
    throw new InvalidArgumentError('It is not a file descriptor.')
  return fd
}

function addInit(program: Command, context: CommandContext, finish: Finish): void {
  program
    .command('init')
    .description('write a commented poolhouse.toml, a first share and user')
    .argument('[dir]', 'folder to write it to', '.')
    .option('--share-name <name>', 'name of the first share')
    .option('--share-path <folder>', 'folder it serves')
    .option('--time-machine', 'make it a Time Machine destination')
    .option('--user <name>', 'first account')
    .option('--password-stdin', 'read its password from standard input')
    .option('--unix-user <name>', 'system user it acts as')
    .option('--yes', 'ask nothing')
    .option('--force', 'overwrite an existing file')
    .action((directory: string, options: InitOptions) =>
      finish(commands.init().then(({ init }) => init(context, directory, options))),
    )
}

function addCheck(program: Command, context: CommandContext, finish: Finish): void {
  program
    .command('check')
    .description('validate the configuration and probe each share')
    .addOption(configOption())
    .option('--json', 'as JSON')
    .action((options: CheckOptions) => finish(commands.check().then(({ check }) => check(context, options))))
}

function addUserCommands(program: Command, context: CommandContext, finish: Finish): void {
  const user = program.command('user').description('manage accounts')
  user
    .command('add <name>')
    .description('add an account')
    .addOption(configOption())
    .option('--password-stdin', 'read the password from standard input')
    .option('--unix-user <name>', 'system user it acts as (default: the one of the same name)')
    .action((name: string, options: AddOptions) =>
      finish(commands.user().then(({ addUser }) => addUser(context, name, options))),
    )
  user
    .command('passwd <name>')
    .description('change the password of an account')
    .addOption(configOption())
    .option('--password-stdin', 'read the password from standard input')
    .action((name: string, options: PasswordOptions) =>
      finish(commands.user().then(({ changePassword }) => changePassword(context, name, options))),
    )
  user
    .command('remove <name>')
    .description('remove an account')
    .addOption(configOption())
    .action((name: string, options: CommonOptions) =>
      finish(commands.user().then(({ removeUser }) => removeUser(context, name, options))),
    )
  for (const [word, disabled] of [
    ['disable', true],
    ['enable', false],
  ] as const) {
    user
      .command(`${word} <name>`)
      .description(disabled ? 'keep an account but refuse its logins' : 'let a disabled account log in again')
      .addOption(configOption())
      .action((name: string, options: CommonOptions) =>
        finish(commands.user().then(({ setDisabled }) => setDisabled(context, name, disabled, options))),
      )
  }
  user
    .command('list')
    .description('list the accounts')
    .addOption(configOption())
    .option('--json', 'as JSON')
    .action((options: ListOptions) =>
      finish(commands.user().then(({ listUsers }) => listUsers(context, options))),
    )
}

function addStatusCommands(program: Command, context: CommandContext, finish: Finish): void {
  program
    .command('status')
    .description('show sessions, open files and space of the running server')
    .addOption(configOption())
    .option('--json', 'as JSON')
    .action((options: StatusOptions) =>
      finish(commands.status().then(({ showStatus }) => showStatus(context, options))),
    )
  program
    .command('session')
    .description('manage sessions')
    .command('close <id>')
    .description('drop a session')
    .addOption(configOption())
    .action((id: string, options: CommonOptions) =>
      finish(commands.status().then(({ endSession }) => endSession(context, id, options))),
    )
  program
    .command('file')
    .description('manage open files')
    .command('close <id>')
    .description('close an open file')
    .addOption(configOption())
    .action((id: string, options: CommonOptions) =>
      finish(commands.status().then(({ endOpen }) => endOpen(context, id, options))),
    )
}

function addSnapshotCommands(program: Command, context: CommandContext, finish: Finish): void {
  const snapshot = program
    .command('snapshot')
    .description('manage the snapshots of a share that is a dataset, or of a LUN that is a zvol')
  const command = (usage: string, description: string) =>
    snapshot.command(usage).description(description).addOption(configOption())
  const subject = (usage: string, description: string) =>
    command(usage, description)
      .addOption(userOption())
      .option('--lun <id>', 'of a LUN on a zvol; <share> is its target', lunId)
  subject('list <share>', 'list them, the oldest first')
    .option('--json', 'as JSON')
    .action((share: string, options: SnapshotOptions) =>
      finish(commands.snapshot().then(({ showSnapshots }) => showSnapshots(context, share, options))),
    )
  subject('create <share> [about]', 'take one now; its name ends with the given word').action(
    (share: string, about: string | undefined, options: SnapshotOptions) =>
      finish(commands.snapshot().then(({ makeSnapshot }) => makeSnapshot(context, share, about, options))),
  )
  subject('hold <share> <name>', 'keep one until it is released').action(
    (share: string, name: string, options: SnapshotOptions) =>
      finish(commands.snapshot().then(({ holdOne }) => holdOne(context, share, name, options))),
  )
  subject('release <share> <name>', 'end a hold').action(
    (share: string, name: string, options: SnapshotOptions) =>
      finish(commands.snapshot().then(({ releaseOne }) => releaseOne(context, share, name, options))),
  )
  subject('diff <share> <name>', 'show what has changed since')
    .option('--json', 'as JSON')
    .action((share: string, name: string, options: SnapshotOptions) =>
      finish(commands.snapshot().then(({ showChanges }) => showChanges(context, share, name, options))),
    )
  subject('thin <share>', 'destroy those that [snapshots] does not keep')
    .option('--dry-run', 'only say which')
    .option('--json', 'as JSON')
    .action((share: string, options: SnapshotOptions) =>
      finish(commands.snapshot().then(({ thinSnapshots }) => thinSnapshots(context, share, options))),
    )
  subject('clone <share> <name>', 'make a read-only copy that takes no room, to be served beside it')
    .requiredOption('--as <name>', 'name of the share for it, and of its dataset')
    .option('--json', 'as JSON')
    .action((share: string, name: string, options: CloneOptions) =>
      finish(commands.clone().then(({ cloneOne }) => cloneOne(context, share, name, options))),
    )
}

function userOption(): Option {
  return new Option('--user <name>', 'of the dataset of an account, where the share has per_user')
}

function lunId(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('It is not the id of a LUN.')
  return Number(text)
}

function addRestore(program: Command, context: CommandContext, finish: Finish): void {
  program
    .command('restore <share>')
    .description('bring back what a share held at a snapshot')
    .addOption(configOption())
    .addOption(userOption())
    .requiredOption('--snapshot <name>', 'its name, its time as "snapshot list" shows it, or "latest"')
    .option('--to <path>', 'copy it into a new or empty folder')
    .option('--path <path>', 'with --to: only this folder, bundle or file of the share')
    .option('--rollback', 'put the share itself back; its present dataset is kept under another name')
    .option('--force', 'with --rollback: disconnect clients that have files open')
    .option('--dry-run', 'only say what would be done')
    .option('--yes', 'ask nothing')
    .option('--json', 'as JSON; asks nothing')
    .action((share: string, options: RestoreOptions) =>
      finish(commands.restore().then(({ restore }) => restore(context, share, options))),
    )
}

function addReplicateCommands(program: Command, context: CommandContext, finish: Finish): void {
  const replicate = program.command('replicate').description('copy datasets to other pools and machines')
  const command = (usage: string, description: string, isDefault = false) =>
    replicate.command(usage, { isDefault }).description(description).addOption(configOption())
  const streaming = (usage: string, description: string, isDefault = false) =>
    command(usage, description, isDefault)
      .option('--dry-run', 'only say what would be sent')
      .option('--json', 'one JSON object a line')
  const reaching = (usage: string, description: string) =>
    streaming(usage, description)
      .option('--ssh-key <file>', 'private key')
      .option('--ssh-port <n>', 'port')
      .option('--ssh-command <program>', 'what is started as ssh')
  streaming('all', 'carry out each [[replicate]] (the default)', true).action((options: ReplicateOptions) =>
    finish(commands.replicate().then(({ replicateAll }) => replicateAll(context, options))),
  )
  reaching('push <dataset>', 'send the snapshots that a target lacks; the dataset may be given by its share')
    .option('--to <place>', 'user@host:tank/backups/box (default: as configured)')
    .option('--snapshot', 'take a snapshot first')
    .action((name: string, options: PushOptions) =>
      finish(commands.replicate().then(({ push }) => push(context, name, options))),
    )
  reaching('pull <dataset>', 'fetch the snapshots that a dataset of this machine lacks')
    .requiredOption('--from <place>', 'user@host:tank/home/anna')
    .action((name: string, options: PullOptions) =>
      finish(commands.replicate().then(({ pull }) => pull(context, name, options))),
    )
  command('list', 'show how far each target is')
    .option('--json', 'as JSON')
    .action((options: ReplicateOptions) =>
      finish(commands.replicate().then(({ listReplications }) => listReplications(context, options))),
    )
  const granting = (usage: string, description: string) =>
    replicate
      .command(usage)
      .description(description)
      .requiredOption('--root <dataset>', 'the key reaches only datasets below it')
      .option('--thin', 'it may destroy our snapshots there: for keep')
      .option('--send', 'it may fetch from there: for pull')
  granting('key <file>', 'print the line of authorized_keys for a public key').action(
    (file: string, options: GrantOptions) =>
      finish(commands.replicationKey().then(({ showKey }) => showKey(context, file, options))),
  )
  granting('serve', 'carry out one command that came over ssh (for authorized_keys)').action(
    (options: GrantOptions) =>
      finish(commands.replicationKey().then(({ serveKey }) => serveKey(context, options))),
  )
}
