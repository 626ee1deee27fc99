/** The mDNS responder on a network in memory, with the real codec and a clock moved by hand. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { Packet, ResourceRecord } from '../../discovery/mdns/packet.ts'
import { type Offer, servicesOf } from '../../discovery/services.ts'
import { projectRoot } from '../interop/paths.ts'
import { SimEnvironment, settled } from '../sim/sim-environment.ts'
import { groupAddress, linkOf, offer, type SimHost, SimLan, startHost, stateOf } from './sim-lan.ts'

const server = '10.0.0.1'
const asker = '10.0.0.9'
const claimMilliseconds = 1100

interface Ground {
  readonly lan: SimLan
  readonly host: SimHost
  readonly client: ReturnType<SimLan['stranger']>
  /** Asks, lets time pass, and gives back what came. */
  ask(packet: Partial<Packet>, milliseconds?: number): Promise<Packet[]>
}

/** A server that has had its name for a while, and a client. */
async function announced(options: { offer?: Offer; seed?: number } = {}): Promise<Ground> {
  const lan = new SimLan(new SimEnvironment(options.seed ?? 1))
  const host = await startHost(new Map([['eth0', { lan, address: server }]]), options)
  const client = lan.stranger(asker)
  await lan.environment.advance(10_000)
  const ask = async (packet: Partial<Packet>, milliseconds = 130): Promise<Packet[]> => {
    client.heard.length = 0
    await client.transport.send('query', packet)
    await lan.environment.advance(milliseconds)
    return [...client.heard]
  }
  return { lan, host, client, ask }
}

function keys(records: readonly ResourceRecord[]): string[] {
  return records.map(({ name, type }) => `${name} ${type}`).sort()
}

const own = {
  ptr: '_smb._tcp.local PTR',
  srv: 'ocean._smb._tcp.local SRV',
  txt: 'ocean._smb._tcp.local TXT',
  a: 'ocean.local A',
  nsec: 'ocean.local NSEC',
}
const smb = { name: '_smb._tcp.local', type: 'PTR' }

t.test('probes three times, then announces three times', async (t) => {
  const lan = new SimLan(new SimEnvironment())
  const client = lan.stranger(asker)
  await startHost(new Map([['eth0', { lan, address: server }]]))
  await lan.environment.advance(20_000)
  const at = lan.sent.map((sent) => sent.at)
  const [first = 0] = at
  t.ok(first <= 250, 'after a random wait')
  t.same(
    at.map((time) => time - first),
    [0, 250, 500, 750, 1750, 3750],
  )
  t.ok(lan.sent.every(({ to }) => to.address === groupAddress && to.port === 5353))
  const [probe, , , announcement] = client.heard
  t.same(
    probe?.questions.map(({ name, type }) => `${name} ${type}`),
    [
      'ocean._smb._tcp.local ANY',
      'ocean._device-info._tcp.local ANY',
      'ocean._adisk._tcp.local ANY',
      'ocean.local ANY',
    ],
  )
  t.equal(probe?.authorities.length, 7)
  const records = announcement?.answers ?? []
  for (const { name, type, flush, ttl } of records) {
    t.equal(flush, type !== 'PTR', `${name} ${type}: only unique records flush caches`)
    t.equal(ttl, type === 'PTR' || type === 'TXT' ? 4500 : 120)
  }
  t.equal(records.length, 13)
})

t.test('golden bytes of an announcement', async (t) => {
  const { lan } = await announced()
  const file = join(projectRoot, 'test', 'fixtures', 'discovery', 'mdns-announcement.txt')
  const golden = readFileSync(file, 'utf8').replaceAll(/^#.*$|\s/gm, '')
  t.equal(lan.sent[3]?.bytes.toString('hex'), golden)
})

t.test('answers with what the asker needs next, and leaves out what it knows', async (t) => {
  const { ask, lan } = await announced()
  const [answer] = await ask({ questions: [smb] })
  t.same(keys(answer?.answers ?? []), [own.ptr])
  t.same(keys(answer?.additionals ?? []), [own.srv, own.txt, own.a, own.nsec])
  const wait = (lan.sent.at(-1)?.at ?? 0) - (lan.sent.at(-2)?.at ?? 0)
  t.ok(wait >= 20 && wait <= 120, 'a shared record waits')
  const known = { ...smb, ttl: 4500, data: 'ocean._smb._tcp.local' }
  t.same(await ask({ questions: [smb], answers: [known] }, 2000), [], 'known-answer suppression')
  const stale = await ask({ questions: [smb], answers: [{ ...known, ttl: 2000 }] })
  t.equal(stale.length, 1, 'not when half of the time is over')
  const types = await ask({ questions: [{ name: '_services._dns-sd._udp.local', type: 'PTR' }] })
  t.same(types[0]?.answers.map(({ data }) => data).sort(), [
    '_adisk._tcp.local',
    '_device-info._tcp.local',
    '_smb._tcp.local',
  ])
  t.same(await ask({ questions: [{ name: 'other.local', type: 'A' }] }, 2000), [])
  t.same(await ask({ questions: [{ name: 'ocean.local', type: 'A', class: 'CH' }] }, 2000), [])
})

t.test('says which types a name does not have', async (t) => {
  const { ask } = await announced()
  const [answer] = await ask({ questions: [{ name: 'OCEAN.local', type: 'AAAA' }] }, 0)
  t.match(answer?.answers, [
    { type: 'NSEC', data: { nextDomain: 'ocean.local', rrtypes: ['A'] }, flush: true },
  ])
  t.equal(answer?.answers.length, 1)
})

t.test('a record is multicast once a second, but defended against a probe at once', async (t) => {
  const { ask, lan } = await announced()
  const question = { name: 'ocean.local', type: 'A' }
  t.equal((await ask({ questions: [question] }, 0)).length, 1)
  const since = lan.sent.length
  for (let count = 0; count < 10; count++) await ask({ questions: [question] }, 50)
  await lan.environment.advance(1000)
  const answers = lan.sent.slice(since).filter(({ from }) => from === server)
  t.equal(answers.length, 1, 'ten questions, one answer')
  const claim = { ...question, ttl: 120, data: '10.0.0.7' }
  const defence = await ask({ questions: [{ name: 'ocean.local', type: 'ANY' }], authorities: [claim] }, 250)
  t.match(defence[0]?.answers, [{ type: 'A', data: server }])
})

t.test('answers him alone who asks for that, and resolvers that are not mDNS', async (t) => {
  const { ask, lan } = await announced()
  const before = lan.sent.length
  await lan.stranger('10.0.0.8', 40_000).transport.send('query', {
    id: 77,
    questions: [{ name: 'ocean.local', type: 'A' }],
  })
  await settled()
  const legacy = lan.sent.slice(before + 1)
  t.match(legacy, [{ from: server, to: { address: '10.0.0.8', port: 40_000 } }])
  const listener = lan.stranger('10.0.0.8', 40_001)
  await listener.transport.send('query', { id: 78, questions: [{ name: 'ocean.local', type: 'A' }] })
  await settled()
  t.match(listener.heard, [
    { id: 78, questions: [{ name: 'ocean.local' }], answers: [{ ttl: 10, flush: false }] },
  ])
  // The codec cannot write the bit that asks for a unicast answer: it is set in the bytes.
  await ask({ questions: [{ name: 'ocean.local', type: 'A' }] }, 2000)
  const query = Buffer.from(
    lan.sent.find(({ from, bytes }) => from === asker && bytes.length > 12)?.bytes ?? '',
  )
  query.writeUInt16BE(0x8001, query.length - 2)
  const count = lan.sent.length
  for (const socket of lan.sockets) socket.emit('message', query, { address: asker, port: 5353 })
  await settled()
  t.match(lan.sent.slice(count), [{ from: server, to: { address: asker, port: 5353 } }])
  for (const socket of lan.sockets) socket.emit('message', query, { address: '192.0.2.1', port: 40_000 })
  await settled()
  t.equal(lan.sent.length, count + 1, 'nothing leaves the link')
})

t.test('waits for the rest of a long list of known answers', async (t) => {
  const { lan } = await announced()
  const client = lan.stranger('10.0.0.8')
  const known = { ...smb, ttl: 4500, data: 'ocean._smb._tcp.local' }
  const before = lan.sent.length
  const truncated = { questions: [smb], flags: 1 << 9 }
  await client.transport.send('query', truncated)
  await client.transport.send('query', { answers: [known] })
  await lan.environment.advance(1000)
  t.equal(lan.sent.slice(before).filter(({ from }) => from === server).length, 0)
  await client.transport.send('query', { ...truncated })
  await lan.environment.advance(1000)
  const answered = lan.sent.slice(before).filter(({ from }) => from === server)
  t.equal(answered.length, 1, 'and answers when none comes')
})

t.test('two servers of one name end with two, whoever starts when', async (t) => {
  for (let seed = 1; seed <= 25; seed++) {
    const lan = new SimLan(new SimEnvironment(seed))
    const one = await startHost(new Map([['eth0', { lan, address: server }]]))
    // From at the same time to long after.
    await lan.environment.advance((seed % 5) * 400)
    const other = await startHost(new Map([['eth0', { lan, address: '10.0.0.2' }]]), {
      offer: {
        ...offer,
        timeMachine: offer.timeMachine.map((share) => ({ ...share, uuid: share.uuid.replace('2', '3') })),
      },
    })
    await lan.environment.advance(8000)
    t.same([one.advertiser.name, other.advertiser.name].sort(), ['ocean', 'ocean-2'], `seed ${seed}`)
    const client = lan.stranger(asker)
    await client.transport.send('query', { questions: [smb] })
    await lan.environment.advance(200)
    const found = client.heard.flatMap((packet) => packet.answers.map(({ data }) => data)).sort()
    t.same(found, ['ocean-2._smb._tcp.local', 'ocean._smb._tcp.local'])
  }
})

t.test('a conflict on one link renames on all; a late one is tried out first', async (t) => {
  const environment = new SimEnvironment()
  const [lan, other] = [new SimLan(environment), new SimLan(environment)]
  const links = new Map([
    ['eth0', { lan, address: server }],
    ['eth1', { lan: other, address: '10.0.1.1' }],
  ])
  const host = await startHost(links)
  await environment.advance(5000)
  t.equal(host.advertiser.name, 'ocean')
  const foreign = lan.stranger('10.0.0.7')
  const claim = { name: 'ocean.local', type: 'A', ttl: 120, data: '10.0.0.7', flush: true }
  await foreign.transport.send('response', { answers: [claim] })
  await environment.advance(400)
  const probes = foreign.heard.filter((packet) => packet.authorities.length > 0)
  t.ok(probes.length > 0, 'probes again')
  await foreign.transport.send('response', { answers: [claim] })
  const before = other.sent.length
  await environment.advance(5000)
  t.equal(host.advertiser.name, 'ocean-2')
  t.same(host.names, ['ocean-2'])
  const elsewhere = other.sent.slice(before).map(({ bytes }) => bytes.toString('latin1'))
  t.ok(
    elsewhere.some((bytes) => bytes.includes('ocean-2')),
    'also where nobody has it',
  )
})

t.test('addresses of this machine are no conflict, and another responder of it keeps the name', async (t) => {
  const { lan, host, client, ask } = await announced()
  const avahi = lan.stranger(server)
  const claim = { name: 'ocean.local', type: 'A', ttl: 120, data: server }
  await avahi.transport.send('query', {
    questions: [{ name: 'ocean.local', type: 'ANY' }],
    authorities: [claim],
  })
  const heardByAvahi = avahi.heard.length
  await lan.environment.advance(1000)
  t.equal(avahi.heard.length, heardByAvahi, 'its probe is not answered')
  await avahi.transport.send('response', { answers: [{ ...claim, flush: true }] })
  t.same(await ask({ questions: [{ name: 'ocean.local', type: 'A' }] }, 500), [], 'it answers')
  const [answer] = await ask({ questions: [smb] })
  t.same(keys(answer?.additionals ?? []), [own.srv, own.txt])
  client.heard.length = 0
  await avahi.transport.send('response', { answers: [{ ...claim, ttl: 0 }] })
  await lan.environment.advance(6000)
  t.same(
    (await ask({ questions: [{ name: 'ocean.local', type: 'A' }] }, 0))[0]?.answers.map(({ data }) => data),
    [server],
  )
  t.equal(host.advertiser.name, 'ocean')
})

t.test('says goodbye to what is no more, and nothing else', async (t) => {
  const { lan, host, client } = await announced()
  client.heard.length = 0
  host.advertiser.setServices(servicesOf({ ...offer, timeMachine: [] }))
  await lan.environment.advance(5000)
  const gone = client.heard.flatMap(({ answers }) => answers).filter(({ ttl }) => ttl === 0)
  t.same(keys(gone), [
    '_adisk._tcp.local PTR',
    '_services._dns-sd._udp.local PTR',
    'ocean._adisk._tcp.local SRV',
    'ocean._adisk._tcp.local TXT',
  ])
  client.heard.length = 0
  host.advertiser.setServices(servicesOf(offer))
  await lan.environment.advance(5000)
  const isProbed = client.heard.some(({ questions }) => questions.some(({ name }) => name.includes('_adisk')))
  t.ok(isProbed, 'a new name is probed for')
  client.heard.length = 0
  await host.advertiser.stop()
  const bye = client.heard.flatMap(({ answers }) => answers)
  t.equal(bye.length, 13)
  t.ok(bye.every(({ ttl }) => ttl === 0))
  t.equal(lan.sockets.size, 1, 'the socket is closed')
})

t.test('follows links and addresses', async (t) => {
  const { lan, host, client } = await announced()
  client.heard.length = 0
  const changed = linkOf('eth0', '10.0.0.3', '10.0.0.4')
  await host.advertiser.setLinks(stateOf([changed]))
  await lan.environment.advance(4000)
  const addresses = client.heard.flatMap(({ answers }) => answers).filter(({ type }) => type === 'A')
  t.same(
    [...new Set(addresses.map(({ data, ttl }) => `${data} ${ttl}`))],
    ['10.0.0.1 0', '10.0.0.3 120', '10.0.0.4 120'],
  )
  t.ok(!client.heard.some(({ authorities }) => authorities.length > 0), 'without probing again')
  client.heard.length = 0
  await host.advertiser.setLinks(stateOf([]))
  t.ok(client.heard.flatMap(({ answers }) => answers).every(({ ttl }) => ttl === 0))
  await host.advertiser.setLinks(stateOf([changed]))
  await lan.environment.advance(4000)
  t.ok(
    client.heard.some(({ authorities }) => authorities.length > 0),
    'another time on the link: it probes',
  )
  client.heard.length = 0
  host.advertiser.announceAgain()
  await lan.environment.advance(4000)
  t.equal(client.heard.length, 3)
})

t.test('what others say ends is said to live', async (t) => {
  const { lan, client } = await announced()
  const foreign = lan.stranger('10.0.0.7')
  client.heard.length = 0
  await foreign.transport.send('response', { answers: [{ ...smb, ttl: 0, data: 'ocean._smb._tcp.local' }] })
  await lan.environment.advance(100)
  t.match(client.heard.at(-1)?.answers, [{ type: 'PTR', ttl: 4500 }])
})

t.test('hostile messages change nothing', async (t) => {
  const { lan, host, ask } = await announced()
  const samples = lan.sent.map(({ bytes }) => bytes)
  const deliver = (bytes: Buffer): void => {
    for (const socket of [...lan.sockets]) socket.emit('message', bytes, { address: '10.0.0.66', port: 5353 })
  }
  for (const sample of samples.slice(0, 4)) {
    for (let length = 0; length < sample.length; length++) deliver(Buffer.from(sample.subarray(0, length)))
  }
  const mutation = fc.record({
    sample: fc.constantFrom(...samples),
    at: fc.nat(),
    value: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  })
  fc.assert(
    fc.property(mutation, ({ sample, at, value }) => {
      const bytes = Buffer.from(sample)
      bytes.set(value.slice(0, bytes.length - (at % bytes.length)), at % bytes.length)
      deliver(bytes)
    }),
    { numRuns: 2000, seed: 5 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => deliver(Buffer.from(bytes))),
    { numRuns: 1000, seed: 6 },
  )
  await lan.environment.advance(60_000)
  t.same(
    lan.warnings.filter((warning) => warning.startsWith('bug')),
    [],
  )
  const [answer] = await ask({ questions: [smb] })
  t.match(answer?.answers, [{ data: `${host.advertiser.name}._smb._tcp.local` }])
})

t.test('who sends too much is heard no longer, and others are', async (t) => {
  const lan = new SimLan(new SimEnvironment())
  await startHost(new Map([['eth0', { lan, address: server }]]), { limited: true })
  await lan.environment.advance(10_000)
  const flooder = lan.stranger('10.0.0.66')
  for (let count = 0; count < 2000; count++) await flooder.transport.send('query', { questions: [] })
  const query = { questions: [{ name: 'ocean.local', type: 'A' }] }
  const before = lan.sent.length
  await flooder.transport.send('query', query)
  await lan.environment.advance(0)
  t.equal(lan.sent.length, before + 1)
  const client = lan.stranger(asker)
  await client.transport.send('query', query)
  await lan.environment.advance(0)
  t.equal(lan.sent.length, before + 3)
})

t.test('endless conflicts slow it down', async (t) => {
  const lan = new SimLan(new SimEnvironment())
  const host = await startHost(new Map([['eth0', { lan, address: server }]]))
  const foreign = lan.stranger('10.0.0.7')
  for (let count = 0; count < 600; count++) {
    await lan.environment.advance(100)
    const name = `${host.advertiser.name}.local`
    await foreign.transport.send('response', { answers: [{ name, type: 'A', ttl: 120, data: '10.0.0.7' }] })
  }
  const tries = host.names.length
  t.ok(tries > 15 && tries < 700, `${tries} names`)
  await lan.environment.advance(5000 + claimMilliseconds + 5000)
  const [answer] = await (async () => {
    await foreign.transport.send('query', { questions: [smb] })
    foreign.heard.length = 0
    await lan.environment.advance(200)
    return foreign.heard
  })()
  t.match(answer?.answers, [{ data: `${host.advertiser.name}._smb._tcp.local` }], 'it ends with a name')
})
