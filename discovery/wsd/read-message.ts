/** Reads the messages that clients send: WS-Discovery (April 2005) 5 and 6, WS-Transfer Get. Everything else is refused. */

import { childOf, type QName, qualifiedName, readXml, type XmlElement, XmlError } from '../xml/reader.ts'
import { NS, TRANSFER } from './names.ts'

export type Request =
  | {
      readonly kind: 'probe'
      readonly messageId: string
      readonly types: readonly QName[]
      readonly scopes: string
    }
  | { readonly kind: 'resolve'; readonly messageId: string; readonly endpoint: string }
  | { readonly kind: 'get'; readonly messageId: string; readonly to: string }

/** Limits of what is kept or sent back. */
const MESSAGE_ID_MAXIMUM = 256
const TYPES_MAXIMUM = 32

/**
 * @returns undefined for a message that is none of ours to answer (a Hello, say)
 * @throws XmlError for what is no SOAP message
 */
export function readRequest(bytes: Uint8Array): Request | undefined {
  const envelope = readXml(decodeUtf8(bytes))
  if (envelope.namespace !== NS.soap || envelope.name !== 'Envelope')
    throw new XmlError('no SOAP 1.2 envelope')
  const header = childOf(envelope, NS.soap, 'Header')
  const body = childOf(envelope, NS.soap, 'Body')
  const action = childOf(header, NS.wsa, 'Action')?.text.trim()
  const messageId = childOf(header, NS.wsa, 'MessageID')?.text.trim()
  if (action === undefined || body === undefined) throw new XmlError('no action or no body')
  if (messageId === undefined || messageId === '' || messageId.length > MESSAGE_ID_MAXIMUM) {
    throw new XmlError('no message id that could be answered')
  }
  if (action === `${NS.wsd}/Probe`) return readProbe(messageId, body)
  if (action === `${NS.wsd}/Resolve`) return readResolve(messageId, body)
  if (action !== `${TRANSFER}/Get`) return undefined
  return { kind: 'get', messageId, to: childOf(header, NS.wsa, 'To')?.text.trim() ?? '' }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new XmlError('not UTF-8')
  }
}

function readProbe(messageId: string, body: XmlElement): Request {
  const probe = childOf(body, NS.wsd, 'Probe')
  if (probe === undefined) throw new XmlError('a Probe without its body')
  const types = childOf(probe, NS.wsd, 'Types')
  const written = words(types?.text ?? '')
  if (written.length > TYPES_MAXIMUM) throw new XmlError('too many types')
  return {
    kind: 'probe',
    messageId,
    types: types === undefined ? [] : written.map((name) => qualifiedName(types, name)),
    scopes: childOf(probe, NS.wsd, 'Scopes')?.text.trim() ?? '',
  }
}

function readResolve(messageId: string, body: XmlElement): Request {
  const resolve = childOf(body, NS.wsd, 'Resolve')
  const endpoint = childOf(childOf(resolve, NS.wsa, 'EndpointReference'), NS.wsa, 'Address')
  if (endpoint === undefined) throw new XmlError('a Resolve without an address')
  return { kind: 'resolve', messageId, endpoint: endpoint.text.trim() }
}

function words(text: string): string[] {
  return text.split(/[ \t\r\n]+/).filter((word) => word !== '')
}
