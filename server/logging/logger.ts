/** The log: pino on stderr, as JSON or for people. Secrets, buffers and big integers are made fit to print in one place. */

import pino from 'pino'
import pretty from 'pino-pretty'
import type { LogConfiguration } from '../config/types.ts'

const STDERR = 2
const DEPTH_MAXIMUM = 6
const SHOWN_BYTES = 32
/** Keys whose values let someone in. */
const SECRET_KEY =
  /pass(?:word|phrase)?$|secret|nthash|token|(?:session|signing|encryption|private)key$|^keys?$/i

export type Logger = pino.Logger

/** @param destination where lines go; stderr when absent */
export function createLogger(configuration: LogConfiguration, destination?: pino.DestinationStream): Logger {
  const options: pino.LoggerOptions = {
    level: configuration.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label) => ({ level: label }),
      log: (details) => printable(details, 0) as Record<string, unknown>,
    },
  }
  return pino(options, destination ?? stderrStream(configuration.format))
}

function stderrStream(format: LogConfiguration['format']): pino.DestinationStream {
  // Synchronous: a line written before a crash is there, and a server logs little at its usual level.
  if (format === 'json') return withoutReader(pino.destination({ dest: STDERR, sync: true }))
  const stream = pretty({
    destination: STDERR,
    sync: true,
    colorize: process.stderr.isTTY === true,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
  })
  return withoutReader(stream)
}

/** A server whose log nobody reads any longer (EPIPE) goes on. */
function withoutReader<T extends { on(event: 'error', listener: () => void): unknown }>(stream: T): T {
  stream.on('error', () => undefined)
  return stream
}

/** A copy that can be logged: no secret, no bigint, no bytes beyond the first few. */
function printable(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value === null || typeof value !== 'object') return value
  if (Buffer.isBuffer(value) || value instanceof Uint8Array)
    return bytesText(Buffer.from(value.buffer, value.byteOffset, value.length))
  if (value instanceof Error)
    return { ...entriesOf(value, depth), type: value.name, message: value.message, stack: value.stack }
  if (depth >= DEPTH_MAXIMUM) return '...'
  if (Array.isArray(value)) return value.map((item) => printable(item, depth + 1))
  return entriesOf(value, depth)
}

function entriesOf(value: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(value).map(([key, inner]) => [
    key,
    SECRET_KEY.test(key) ? '[secret]' : printable(inner, depth + 1),
  ])
  return Object.fromEntries(entries) as Record<string, unknown>
}

function bytesText(bytes: Buffer): string {
  const hex = bytes.toString('hex', 0, SHOWN_BYTES)
  return bytes.length > SHOWN_BYTES ? `${hex}... (${bytes.length} bytes)` : hex
}
