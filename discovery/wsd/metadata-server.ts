/** Answers WS-Transfer Get over HTTP on TCP port 5357 (DPWS 4): the second half of being shown in Windows' Network view. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Log } from '../environment.ts'
import type { RateLimit } from '../rate-limit.ts'
import { XmlError } from '../xml/reader.ts'
import { MESSAGE_MAXIMUM_BYTES } from './names.ts'
import { readRequest } from './read-message.ts'

const CONNECTIONS_MAXIMUM = 32
const REQUEST_MILLISECONDS = 5000
const HEADER_MAXIMUM_BYTES = 4096
const CONTENT_TYPE = 'application/soap+xml; charset=utf-8'

export interface MetadataServerOptions {
  readonly log: Log
  readonly limit: RateLimit
  /** Path of the endpoint: `/<uuid>`. */
  readonly path: string
  /** Where to listen: an address of a link, link-local ones with their zone. */
  readonly host: string
  readonly port: number
  isOnLink(address: string): boolean
  /** The GetResponse to this message id. */
  answer(relatesTo: string): string
}

export interface MetadataServer {
  /** As bound. */
  readonly port: number
  close(): Promise<void>
}

/** @throws NodeJS.ErrnoException when the port is taken */
export async function openMetadataServer(options: MetadataServerOptions): Promise<MetadataServer> {
  const server = createServer(
    {
      maxHeaderSize: HEADER_MAXIMUM_BYTES,
      requestTimeout: REQUEST_MILLISECONDS,
      headersTimeout: REQUEST_MILLISECONDS,
      keepAliveTimeout: REQUEST_MILLISECONDS,
      connectionsCheckingInterval: REQUEST_MILLISECONDS,
    },
    (request, response) => handle(options, request, response),
  )
  server.maxConnections = CONNECTIONS_MAXIMUM
  // What is no HTTP gets no answer.
  server.on('clientError', (_error, socket) => socket.destroy())
  await listen(server, options)
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, { host, port }: MetadataServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

function handle(options: MetadataServerOptions, request: IncomingMessage, response: ServerResponse): void {
  const refuse = (status: number): void => {
    response.writeHead(status, { connection: 'close' }).end()
    request.resume()
  }
  const from = request.socket.remoteAddress ?? ''
  if (!options.isOnLink(from) || !options.limit.take(from)) return void request.socket.destroy()
  if (request.url !== options.path) return refuse(404)
  if (request.method !== 'POST') return refuse(405)
  const chunks: Buffer[] = []
  let length = 0
  request.on('error', () => undefined)
  request.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > MESSAGE_MAXIMUM_BYTES) return void request.socket.destroy()
    chunks.push(chunk)
  })
  request.on('end', () => {
    const messageId = messageIdOf(Buffer.concat(chunks), options, from)
    if (messageId === undefined) return refuse(400)
    response.writeHead(200, { 'content-type': CONTENT_TYPE }).end(options.answer(messageId))
  })
}

function messageIdOf(bytes: Buffer, { log }: MetadataServerOptions, from: string): string | undefined {
  try {
    const request = readRequest(bytes)
    return request?.kind === 'get' ? request.messageId : undefined
  } catch (error) {
    if (!(error instanceof XmlError)) throw error
    log('debug', `WS-Discovery: request of ${from} refused: ${error.message}`)
    return undefined
  }
}
