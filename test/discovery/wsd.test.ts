/** WS-Discovery: the XML reader, the messages as bytes, the responder with a clock moved by hand, the metadata over HTTP. */

import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import t from 'tap'
import type { Log } from '../../discovery/environment.ts'
import { RateLimit } from '../../discovery/rate-limit.ts'
import { openMetadataServer } from '../../discovery/wsd/metadata-server.ts'
import { MESSAGE_MAXIMUM_BYTES, NS } from '../../discovery/wsd/names.ts'
import { readRequest } from '../../discovery/wsd/read-message.ts'
import { type Sender, WsdResponder } from '../../discovery/wsd/responder.ts'
import {
  bye,
  type Device,
  getResponse,
  hello,
  probeMatches,
  resolveMatches,
} from '../../discovery/wsd/write-message.ts'
import { childOf, readXml, XmlError } from '../../discovery/xml/reader.ts'
import { projectRoot } from '../interop/paths.ts'
import { SimEnvironment } from '../sim/sim-environment.ts'

const fixture = (name: string): string =>
  readFileSync(join(projectRoot, 'test', 'fixtures', 'discovery', name), 'utf8')
const windowsProbe = fixture('windows-probe.xml')
const probeId = 'urn:uuid:0a6dc791-2be6-4991-9af1-454778a1917a'
const endpoint = 'urn:uuid:2ed6657d-e927-568b-95e1-2665a8aea6a2'
const device: Device = { endpoint, name: 'ocean', workgroup: 'WORKGROUP', version: '0.1.0' }
const address = `http://10.0.0.1:5357/${endpoint.slice('urn:uuid:'.length)}`
const client: Sender = { address: '10.0.0.9', port: 50_000 }
/** What a refused document throws. */
const xmlError = { name: 'XmlError' }
const silent: Log = () => undefined

/** A Probe or Resolve like Windows', with other contents. */
function probe(change: { id?: string; types?: string; scopes?: string } = {}): string {
  const types = change.types === undefined ? 'wsdp:Device' : change.types
  const scopes = change.scopes === undefined ? '' : `<wsd:Scopes>${change.scopes}</wsd:Scopes>`
  return windowsProbe
    .replace(probeId, change.id ?? probeId)
    .replace(
      '<wsd:Types>wsdp:Device</wsd:Types>',
      types === '' ? '' : `<wsd:Types>${types}</wsd:Types>${scopes}`,
    )
}

function resolve(id: string, of: string): string {
  const reference = `<wsa:EndpointReference><wsa:Address>${of}</wsa:Address></wsa:EndpointReference>`
  return windowsProbe
    .replace('discovery/Probe<', 'discovery/Resolve<')
    .replace(probeId, id)
    .replace(/<wsd:Probe>.*<\/wsd:Probe>/, `<wsd:Resolve>${reference}</wsd:Resolve>`)
}

t.test('XML is read strictly', async (t) => {
  const root = readXml(
    '\ufeff<?xml version="1.0"?><!-- a --><a:b xmlns:a="A" c=\'1\' a:c="2"><d xmlns="D"/>x &lt;&#65;&#x42;<![CDATA[<&]]></a:b>\n',
  )
  t.match(root, { namespace: 'A', name: 'b', text: 'x <AB<&', children: [{ namespace: 'D', name: 'd' }] })
  t.same(
    [...root.attributes],
    [
      ['c', '1'],
      ['{A}c', '2'],
    ],
  )
  t.equal(childOf(root, 'A', 'd'), undefined, 'another namespace')
  const refused = [
    '',
    'text',
    '<a>',
    '<a></b>',
    '<a/><b/>',
    '<a/>text',
    '<a b="1" b="2"/>',
    '<a xmlns:x="X" xmlns:y="X" x:b="1" y:b="2"/>',
    '<x:a/>',
    '<a x:b="1"/>',
    '<a b=1/>',
    '<a b="<"/>',
    '<a>&nbsp;</a>',
    '<a>& </a>',
    '<a>&constructor;</a>',
    '<a>&#0;</a>',
    '<a>&#x110000;</a>',
    '<a>&#xD800;</a>',
    '<a>\u0001</a>',
    '<a><!-- x -- y --></a>',
    '<?xml-stylesheet href="x"?><a/>',
    '<a><?php ?></a>',
    '<!DOCTYPE a><a/>',
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<a><!DOCTYPE b></a>',
    `${'<a>'.repeat(17)}${'</a>'.repeat(17)}`,
    `<a>${'<b/>'.repeat(256)}</a>`,
    `<a ${Array.from({ length: 33 }, (_, index) => `b${index}=""`).join(' ')}/>`,
  ]
  for (const xml of refused) t.throws(() => readXml(xml), xmlError, xml.slice(0, 60))
  t.doesNotThrow(() => readXml(`${'<a>'.repeat(16)}${'</a>'.repeat(16)}`))
})

t.test('requests of clients', async (t) => {
  t.match(readRequest(Buffer.from(windowsProbe)), {
    kind: 'probe',
    messageId: probeId,
    types: [{ namespace: NS.wsdp, name: 'Device' }],
    scopes: '',
  })
  t.match(readRequest(Buffer.from(resolve('urn:uuid:1', endpoint))), { kind: 'resolve', endpoint })
  const own = hello(device, { messageId: 'urn:uuid:1' }, sequence(1), address)
  t.equal(readRequest(Buffer.from(own)), undefined, 'a Hello asks for nothing')
  const broken = [
    windowsProbe.replace('soap-envelope"', 'soap-envelope/1"'),
    windowsProbe.replace(/<wsa:MessageID>.*<\/wsa:MessageID>/, ''),
    windowsProbe.replace(probeId, 'x'.repeat(257)),
    windowsProbe.replace(/<soap:Body>.*<\/soap:Body>/, ''),
    windowsProbe.replace(/<wsd:Probe>.*<\/wsd:Probe>/, ''),
    probe({ types: 'other:Device' }),
    probe({ types: 'wsdp:Device '.repeat(33) }),
  ]
  for (const xml of broken) t.throws(() => readRequest(Buffer.from(xml)), xmlError, xml.slice(-200))
  t.throws(() => readRequest(Buffer.from([0xff, 0xfe])), xmlError)
})

t.test('no message of a stranger makes the reader fail otherwise', async (t) => {
  const bytes = Buffer.from(windowsProbe)
  const read = (message: Uint8Array): void => {
    try {
      readRequest(message)
    } catch (error) {
      if (!(error instanceof XmlError)) throw error
    }
  }
  for (let length = 0; length < bytes.length - 1; length++) {
    t.throws(() => readRequest(bytes.subarray(0, length - (length > 1 ? 1 : 0))), xmlError)
  }
  const change = fc.record({
    at: fc.nat(bytes.length - 8),
    value: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  })
  fc.assert(
    fc.property(change, ({ at, value }) => {
      const changed = Buffer.from(bytes)
      changed.set(value, at)
      read(changed)
    }),
    { numRuns: 2000, seed: 3 },
  )
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('<', '>', '/', 'a', ':', '"', '&', ';', ' ', '=', '!', '-') }),
      (xml) => read(Buffer.from(xml)),
    ),
    { numRuns: 2000, seed: 4 },
  )
  const started = performance.now()
  for (const filler of ['<a ', '<!--', '&#', ' ', '<![CDATA[', 'a:', '</']) {
    read(Buffer.from(`<a>${filler.repeat(MESSAGE_MAXIMUM_BYTES / filler.length)}`))
  }
  t.ok(performance.now() - started < 500, 'nothing takes more than its length')
})

function sequence(messageNumber: number) {
  return {
    instanceId: 1_767_225_600,
    sequenceId: 'urn:uuid:1e9f6c3a-0000-4000-8000-000000000001',
    messageNumber,
  }
}

t.test('golden bytes of our messages', async (t) => {
  const head = { messageId: 'urn:uuid:1e9f6c3a-0000-4000-8000-000000000002' }
  const reply = { ...head, relatesTo: probeId }
  const messages = [
    hello(device, head, sequence(1), address),
    bye(device, head, sequence(2)),
    probeMatches(device, reply, sequence(3), address),
    resolveMatches(device, reply, sequence(4), address),
    getResponse({ ...device, name: 'o<c&an' }, reply),
  ]
  t.equal(`${messages.join('\n')}\n`, fixture('wsd-messages.xml'))
  for (const message of messages) t.equal(readXml(message).name, 'Envelope')
})

interface Ground {
  readonly environment: SimEnvironment
  readonly responder: WsdResponder
  readonly sent: { readonly at: number; readonly xml: string; readonly to: Sender | undefined }[]
  receive(xml: string, sender?: Sender): void
}

function start(): Ground {
  const environment = new SimEnvironment()
  const begun = environment.now()
  const sent: Ground['sent'] = []
  let receive: (bytes: Buffer, sender: Sender) => void = () => undefined
  let ids = 0
  const responder = new WsdResponder({
    environment,
    log: silent,
    datagrams: {
      listen: (listener) => {
        receive = listener
      },
      send: (bytes, to) => sent.push({ at: environment.now() - begun, xml: bytes.toString(), to }),
      close: async () => undefined,
    },
    limit: new RateLimit(environment),
    device: () => device,
    metadataAddress: address,
    newId: () => String(++ids),
    nextSequence: () => sequence(1),
    isOnLink: (sender) => sender.startsWith('10.'),
  })
  return {
    environment,
    responder,
    sent,
    receive: (xml, sender = client) => receive(Buffer.from(xml), sender),
  }
}

/** A responder that has said its Hello. */
async function settledGround(): Promise<Ground> {
  const ground = start()
  await ground.environment.advance(5000)
  ground.sent.length = 0
  return ground
}

t.test('Hello and Bye are said four times, at growing distances', async (t) => {
  const { environment, responder, sent } = start()
  await environment.advance(5000)
  t.equal(sent.length, 4)
  t.equal(new Set(sent.map(({ xml }) => xml)).size, 1, 'the same message')
  t.ok(sent.every(({ to }) => to === undefined))
  t.match(sent[0]?.xml, /discovery\/Hello</)
  const at = sent.map((each) => each.at)
  const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0))
  const [first = 0] = gaps
  t.ok((at[0] ?? 0) <= 500 && first >= 50 && first <= 250)
  t.same(gaps, [first, Math.min(first * 2, 500), Math.min(first * 4, 500)])
  sent.length = 0
  const stopped = responder.stop()
  t.match(sent[0]?.xml, /discovery\/Bye</, 'at once')
  await environment.advance(2000)
  await stopped
  t.equal(sent.length, 4)
})

t.test('a Probe is answered once, to the asker, with the address of the link', async (t) => {
  const { environment, sent, receive } = await settledGround()
  const since = 5000
  for (let count = 0; count < 4; count++) receive(windowsProbe)
  await environment.advance(2000)
  t.equal(sent.length, 2, 'one answer, sent twice')
  t.ok((sent[0]?.at ?? 0) - since <= 500)
  t.ok(sent.every(({ to }) => to === client))
  t.match(sent[0]?.xml, new RegExp(`ProbeMatches<.*<wsa:RelatesTo>${probeId}<.*<wsd:XAddrs>${address}<`))
})

t.test('what is asked for must be ours', async (t) => {
  const cases: readonly [string, boolean, string][] = [
    [probe({ id: 'a', types: '' }), true, 'no types: everything'],
    [
      probe({ id: 'b', types: 'wsdp:Device' }).replaceAll('wsdp:', 'x:').replace('xmlns:wsdp', 'xmlns:x'),
      true,
      'another prefix',
    ],
    [probe({ id: 'c', types: 'wsd:Device' }), false, 'the same name of another namespace'],
    [probe({ id: 'd', types: 'wsdp:Device wsdp:Printer' }), false, 'one type of two'],
    [probe({ id: 'e', scopes: 'ldap:///ou=x' }), false, 'a scope'],
    [resolve('f', endpoint), true, 'a Resolve of us'],
    [resolve('g', 'urn:uuid:0a6dc791-2be6-4991-9af1-454778a1917b'), false, 'a Resolve of another'],
    ['not XML', false, 'anything else'],
  ]
  for (const [xml, isAnswered, title] of cases) {
    const { environment, sent, receive } = await settledGround()
    receive(xml)
    await environment.advance(2000)
    t.equal(sent.length, isAnswered ? 2 : 0, title)
  }
})

t.test('one address does not get all answers, a stranger none, a giant message neither', async (t) => {
  const { environment, sent, receive } = await settledGround()
  for (let count = 0; count < 500; count++) receive(probe({ id: `id ${count}` }))
  await environment.advance(3000)
  t.equal(sent.length, 80, 'forty answers')
  sent.length = 0
  receive(probe({ id: 'other' }), { address: '192.0.2.7', port: 3702 })
  receive(probe({ id: 'giant' }) + ' '.repeat(MESSAGE_MAXIMUM_BYTES))
  await environment.advance(3000)
  t.equal(sent.length, 0)
  receive(probe({ id: 'again' }))
  await environment.advance(3000)
  t.equal(sent.length, 2, 'after a while it is answered again')
})

t.test('metadata over HTTP', async (t) => {
  const limit = new RateLimit(new SimEnvironment())
  const server = await openMetadataServer({
    log: silent,
    limit,
    path: '/here',
    host: '127.0.0.1',
    port: 0,
    isOnLink: (sender) => sender === '127.0.0.1',
    answer: (relatesTo) => getResponse(device, { messageId: 'urn:uuid:1', relatesTo }),
  })
  t.teardown(() => server.close())
  const get = windowsProbe
    .replace(`${NS.wsd}/Probe`, 'http://schemas.xmlsoap.org/ws/2004/09/transfer/Get')
    .replace(/<wsd:Probe>.*<\/wsd:Probe>/, '')
  const post = (body: string, path = '/here', method = 'POST') =>
    fetch(`http://127.0.0.1:${server.port}${path}`, { method, ...(method === 'POST' ? { body } : {}) })
  const response = await post(get)
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), /^application\/soap\+xml/)
  t.match(
    await response.text(),
    new RegExp(`RelatesTo>${probeId}<.*<pub:Computer>OCEAN/Workgroup:WORKGROUP<`),
  )
  t.equal((await post(get, '/elsewhere')).status, 404)
  t.equal((await post('', '/here', 'GET')).status, 405)
  t.equal((await post(windowsProbe)).status, 400)
  t.equal((await post('<!DOCTYPE a><a/>')).status, 400)
  await t.rejects(post(' '.repeat(MESSAGE_MAXIMUM_BYTES + 1)), 'cut off')
  const raw = connect(server.port, '127.0.0.1')
  raw.end('\x16\x03\x01 no HTTP\r\n\r\n')
  t.equal(await text(raw), '', 'no answer to what is no HTTP')
  while (limit.take('127.0.0.1'));
  await t.rejects(post(get), 'too often')
})
