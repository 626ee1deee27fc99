/** Writes our messages: Hello, Bye, ProbeMatches, ResolveMatches (WS-Discovery April 2005, 4 to 6) and the metadata of DPWS 5. */

import { escapeXml } from '../xml/reader.ts'
import { ANONYMOUS, DISCOVERY_TO, NS, TRANSFER, TYPES_TEXT } from './names.ts'

/** What is told of this server. */
export interface Device {
  /** `urn:uuid:...`, the same over restarts. */
  readonly endpoint: string
  /** The host's name, by which Windows connects. */
  readonly name: string
  readonly workgroup: string
  readonly version: string
}

/** The head of a message. */
export interface Head {
  /** `urn:uuid:...`, new for each message. */
  readonly messageId: string
  /** The request's; absent on what nobody asked for. */
  readonly relatesTo?: string
}

/** WS-Discovery 7: tells a client the order of messages, and a restart from a lost one. */
export interface Sequence {
  /** Seconds; greater after each start. */
  readonly instanceId: number
  /** `urn:uuid:...` */
  readonly sequenceId: string
  readonly messageNumber: number
}

/** Raised when the metadata change; ours never do while an endpoint lives. */
const METADATA_VERSION = 1
const MANUFACTURER = 'Poolhouse'
const MODEL = 'Poolhouse'

export function hello(device: Device, head: Head, sequence: Sequence, address: string): string {
  const body = `<wsd:Hello>${description(device, address)}</wsd:Hello>`
  return envelope(`${NS.wsd}/Hello`, DISCOVERY_TO, head, sequence, body)
}

export function bye(device: Device, head: Head, sequence: Sequence): string {
  const body = `<wsd:Bye>${reference(device)}</wsd:Bye>`
  return envelope(`${NS.wsd}/Bye`, DISCOVERY_TO, head, sequence, body)
}

/** With the address of the link that was asked, which saves the client a Resolve. */
export function probeMatches(device: Device, head: Head, sequence: Sequence, address: string): string {
  const match = `<wsd:ProbeMatch>${description(device, address)}</wsd:ProbeMatch>`
  const body = `<wsd:ProbeMatches>${match}</wsd:ProbeMatches>`
  return envelope(`${NS.wsd}/ProbeMatches`, ANONYMOUS, head, sequence, body)
}

export function resolveMatches(device: Device, head: Head, sequence: Sequence, address: string): string {
  const match = `<wsd:ResolveMatch>${description(device, address)}</wsd:ResolveMatch>`
  const body = `<wsd:ResolveMatches>${match}</wsd:ResolveMatches>`
  return envelope(`${NS.wsd}/ResolveMatches`, ANONYMOUS, head, sequence, body)
}

/** The answer to Get: what Explorer shows. `pub:Computer` is the name that it connects to. */
export function getResponse(device: Device, head: Head): string {
  const name = escapeXml(device.name)
  const computer = `${escapeXml(device.name.toUpperCase())}/Workgroup:${escapeXml(device.workgroup.toUpperCase())}`
  const host =
    `<wsdp:Host>${reference(device)}<wsdp:Types>pub:Computer</wsdp:Types>` +
    `<wsdp:ServiceId>${escapeXml(device.endpoint)}</wsdp:ServiceId>` +
    `<pub:Computer>${computer}</pub:Computer></wsdp:Host>`
  const sections =
    section(
      'ThisDevice',
      `<wsdp:ThisDevice><wsdp:FriendlyName>${name}</wsdp:FriendlyName>` +
        `<wsdp:FirmwareVersion>${escapeXml(device.version)}</wsdp:FirmwareVersion>` +
        '<wsdp:SerialNumber>1</wsdp:SerialNumber></wsdp:ThisDevice>',
    ) +
    section(
      'ThisModel',
      `<wsdp:ThisModel><wsdp:Manufacturer>${MANUFACTURER}</wsdp:Manufacturer>` +
        `<wsdp:ModelName>${MODEL}</wsdp:ModelName>` +
        '<pnpx:DeviceCategory>Computers</pnpx:DeviceCategory></wsdp:ThisModel>',
    ) +
    section('Relationship', `<wsdp:Relationship Type="${NS.wsdp}/host">${host}</wsdp:Relationship>`)
  const body = `<wsx:Metadata>${sections}</wsx:Metadata>`
  return envelope(`${TRANSFER}/GetResponse`, ANONYMOUS, head, undefined, body)
}

function section(name: string, content: string): string {
  return `<wsx:MetadataSection Dialect="${NS.wsdp}/${name}">${content}</wsx:MetadataSection>`
}

function reference(device: Device): string {
  return `<wsa:EndpointReference><wsa:Address>${escapeXml(device.endpoint)}</wsa:Address></wsa:EndpointReference>`
}

function description(device: Device, address: string): string {
  return (
    `${reference(device)}<wsd:Types>${TYPES_TEXT}</wsd:Types><wsd:XAddrs>${escapeXml(address)}</wsd:XAddrs>` +
    `<wsd:MetadataVersion>${METADATA_VERSION}</wsd:MetadataVersion>`
  )
}

function envelope(
  action: string,
  to: string,
  { messageId, relatesTo }: Head,
  sequence: Sequence | undefined,
  body: string,
): string {
  const namespaces = Object.entries(NS).map(([prefix, namespace]) => ` xmlns:${prefix}="${namespace}"`)
  const relation = relatesTo === undefined ? '' : `<wsa:RelatesTo>${escapeXml(relatesTo)}</wsa:RelatesTo>`
  const order =
    sequence === undefined
      ? ''
      : `<wsd:AppSequence InstanceId="${sequence.instanceId}" SequenceId="${sequence.sequenceId}" ` +
        `MessageNumber="${sequence.messageNumber}"/>`
  return (
    `<?xml version="1.0" encoding="utf-8"?><soap:Envelope${namespaces.join('')}><soap:Header>` +
    `<wsa:To>${to}</wsa:To><wsa:Action>${action}</wsa:Action><wsa:MessageID>${messageId}</wsa:MessageID>` +
    `${relation}${order}</soap:Header><soap:Body>${body}</soap:Body></soap:Envelope>`
  )
}
