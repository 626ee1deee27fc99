/** The parts of discovery that decide something by themselves: services, links, names, the order of records, limits. */

import type { NetworkInterfaceInfo } from 'node:os'
import t from 'tap'
import { compareRecordSets, recordKey } from '../../discovery/mdns/compare.ts'
import { nextName } from '../../discovery/mdns/names.ts'
import { intoMessages, type ResourceRecord } from '../../discovery/mdns/packet.ts'
import { type InterfaceFacts, whyLeftOut } from '../../discovery/network/interface-kind.ts'
import { canonicalAddress, isOnLink } from '../../discovery/network/link.ts'
import { ownAddresses, selectLinks, watchLinks } from '../../discovery/network/links.ts'
import { openBoundSocket, whyPortNotBindable } from '../../discovery/network/native-socket.ts'
import { RateLimit } from '../../discovery/rate-limit.ts'
import { type Offer, servicesOf, unannouncedShares } from '../../discovery/services.ts'
import { nameUuid } from '../../discovery/uuid.ts'
import { parseConfiguration } from '../../server/config/parse.ts'
import { probeDiscovery } from '../../server/probe/discovery-probe.ts'
import { announcedPort, offerOf } from '../../server/serve/discovery.ts'
import { SimEnvironment } from '../sim/sim-environment.ts'
import { linkOf, offer, stateOf } from './sim-lan.ts'

t.test('the services of an offer', async (t) => {
  t.same(servicesOf(offer), [
    { type: 'smb', port: 445, txt: {} },
    { type: 'device-info', port: 0, txt: { model: 'TimeCapsule8,119' } },
    {
      type: 'adisk',
      port: 9,
      txt: {
        sys: 'waMa=0,adVF=0x100',
        dk0: 'adVN=backup,adVF=0x82,adVU=2ED6657D-E927-568B-95E1-2665A8AEA6A2',
      },
    },
  ])
  const types = (changed: Partial<Offer>): string =>
    servicesOf({ ...offer, ...changed })
      .map(({ type }) => type)
      .join()
  t.equal(types({ timeMachine: [] }), 'smb,device-info', 'no disks without a Time Machine share')
  t.equal(types({ smbPort: undefined }), '', 'nothing is announced that is not served')
  t.equal(types({ smbPort: undefined, afpPort: 548 }), 'afpovertcp,device-info')
  const flags = (smb: boolean, afp: boolean, afpPort: number | undefined): string | undefined => {
    const timeMachine = offer.timeMachine.map((share) => ({ ...share, smb, afp }))
    const disk = servicesOf({ ...offer, afpPort, timeMachine }).find(({ type }) => type === 'adisk')
    return /adVF=(0x\d+)/.exec(disk?.txt['dk0'] ?? '')?.[1]
  }
  t.same(
    [flags(true, false, 548), flags(false, true, 548), flags(true, true, 548), flags(true, true, undefined)],
    ['0x82', '0x81', '0x83', '0x82'],
  )
  t.equal(flags(false, true, undefined), undefined)
  const long = {
    ...offer,
    timeMachine: offer.timeMachine.map((share) => ({ ...share, name: '\u00fc'.repeat(120) })),
  }
  t.same(
    servicesOf(long).map(({ type }) => type),
    ['smb', 'device-info'],
  )
  t.equal(unannouncedShares(long).length, 1)
})

t.test('the ids of shares are the same after a restart, and of this server alone', async (t) => {
  // The example of RFC 9562 A.4.
  const dns = Buffer.from('6ba7b8109dad11d180b400c04fd430c8', 'hex')
  t.equal(nameUuid(dns, 'www.example.com'), '2ed6657d-e927-568b-95e1-2665a8aea6a2')
  const configuration = configurationOf('time_machine = true')
  const ids = [1, 1, 2].map(
    (byte) => offerOf(configuration, 445, Buffer.alloc(16, byte)).timeMachine[0]?.uuid,
  )
  t.match(ids[0], /^[0-9A-F]{8}-[0-9A-F]{4}-5[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/)
  t.equal(ids[0], ids[1])
  t.not(ids[0], ids[2])
  t.same(offerOf(configurationOf(''), 445, Buffer.alloc(16)).timeMachine, [])
})

function configurationOf(share: string, more = '') {
  const text = `[server]\nname = "ocean"\nstate_dir = "state"\n${more}\n[[share]]\nname = "tm"\npath = "tm"\n${share}\n`
  const outcome = parseConfiguration({ text, file: 'x', baseDirectory: '/srv', source: 'x' })
  if (!outcome.ok) throw new Error(outcome.problems[0]?.message)
  return outcome.configuration
}

t.test('what check finds', async (t) => {
  const found = (more: string): string[] =>
    probeDiscovery(configurationOf('', more)).map(({ severity, message }) => `${severity}: ${message}`)
  t.same(found('[smb]\nlisten = ["127.0.0.1:4450"]'), [], 'nothing to announce')
  t.match(found('[discovery]\ninterfaces = ["nosuch0"]'), [/^warning: .*"nosuch0" is no interface/])
  t.match(found('[smb]\nlisten = ["0.0.0.0:4450"]'), [/^note: WS-Discovery: not announced.*port 445 alone/])
  t.same(found('[discovery]\nmdns = false\nwsd = false\ninterfaces = ["nosuch0"]'), [])
})

t.test('the port that is announced', async (t) => {
  const listen = (...ports: [string, number][]) =>
    announcedPort(ports.map(([host, port]) => ({ host, port })))
  t.equal(listen(['127.0.0.1', 4450], ['0.0.0.0', 4451], ['::', 445]), 445)
  t.equal(listen(['127.0.0.1', 445], ['192.0.2.1', 4451]), 4451)
  t.equal(listen(['127.0.0.1', 4450]), 4450)
  t.equal(listen(), undefined)
})

t.test('interfaces of containers, bridges and tunnels are left out', async (t) => {
  const tree: Readonly<Record<string, string>> = {
    'eth0/type': '1',
    'eth0/device': '',
    'wlan0/type': '1',
    'wlan0/uevent': 'DEVTYPE=wlan\nINTERFACE=wlan0',
    'eth0.5/type': '1',
    'eth0.5/uevent': 'DEVTYPE=vlan',
    'bond0/type': '1',
    'bond0/uevent': 'DEVTYPE=bond',
    'vmbr0/type': '1',
    'vmbr0/bridge': '',
    'vmbr0/brif': 'eno1 fwpr100p0',
    'eno1/type': '1',
    'eno1/device': '',
    'eno1/brport': '',
    'br1/type': '1',
    'br1/bridge': '',
    'br1/brif': 'fwpr100p0',
    'vpn/type': '65534',
    'home/type': '1',
    'home/tun_flags': '0x1002',
    'mesh/type': '1',
    'mesh/uevent': 'DEVTYPE=vxlan',
  }
  const facts: InterfaceFacts = {
    read: (name, file) => tree[`${name}/${file}`],
    exists: (name, file) => `${name}/${file}` in tree,
    list: (name, folder) => (tree[`${name}/${folder}`] ?? '').split(' '),
  }
  const names = ['eth0', 'wlan0', 'eth0.5', 'bond0', 'vmbr0', 'eno1', 'br1', 'vpn', 'home', 'mesh']
  const virtual = [
    'docker0',
    'br-0123456789ab',
    'veth1a2b3c',
    'virbr0',
    'wg0',
    'tailscale0',
    'lxcbr0',
    'cni0',
  ]
  t.same(
    [...names, ...virtual].filter((name) => whyLeftOut(name, facts) === undefined),
    ['eth0', 'wlan0', 'eth0.5', 'bond0', 'vmbr0'],
  )
  t.equal(
    whyLeftOut('eth0', { read: () => undefined, exists: () => false, list: () => [] }),
    undefined,
    'no sysfs',
  )
})

function info(address: string, prefix: number, internal = false): NetworkInterfaceInfo {
  const common = { address, netmask: '', mac: '02:00:00:00:00:01', internal, cidr: `${address}/${prefix}` }
  return address.includes(':') ? { ...common, family: 'IPv6', scopeid: 0 } : { ...common, family: 'IPv4' }
}

t.test('links have the addresses that are served', async (t) => {
  const table = {
    lo: [info('127.0.0.1', 8, true), info('::1', 128, true)],
    eth0: [info('10.0.0.1', 24), info('10.0.5.1', 24), info('fe80::1', 64)],
    eth1: [info('10.0.1.1', 24)],
    docker0: [info('172.17.0.1', 16)],
  }
  const usual = (name: string): boolean => name !== 'docker0'
  const select = (interfaces: string[], isServed: (address: string) => boolean): string[] =>
    selectLinks(table, { interfaces, isServed }, usual).map(
      ({ name, addresses }) => `${name} ${addresses.map(({ address }) => address).join()}`,
    )
  t.same(
    select([], () => true),
    ['eth0 10.0.0.1,10.0.5.1,fe80::1', 'eth1 10.0.1.1'],
  )
  t.same(
    select([], (address) => address === '10.0.5.1'),
    ['eth0 10.0.5.1'],
    'only what is listened on',
  )
  t.same(
    select(['lo', 'docker0'], (address) => !address.includes(':')),
    ['lo 127.0.0.1', 'docker0 172.17.0.1'],
    'named ones, whatever they are',
  )
  t.ok(ownAddresses(table).has('172.17.0.1'))
  t.equal(canonicalAddress('fe80:0::1%eth0'), 'fe80::1')
  t.equal(canonicalAddress('::ffff:10.0.0.1'), '10.0.0.1')
  t.equal(canonicalAddress('nonsense'), undefined)
  const link = linkOf('eth0', '10.0.0.1', 'fd00::1')
  const senders = ['10.0.0.200', '10.0.1.1', 'fd00::9', 'fd01::9', 'fe80::9%eth0', '169.254.7.7', 'nonsense']
  t.same(
    senders.filter((sender) => isOnLink(link, sender)),
    ['10.0.0.200', 'fd00::9', 'fe80::9%eth0', '169.254.7.7'],
  )
})

t.test('changes are noticed within five seconds, and a sleep', async (t) => {
  const environment = new SimEnvironment()
  const first = stateOf([linkOf('eth0', '10.0.0.1')])
  let state = first
  const seen: [string, boolean][] = []
  const stop = watchLinks(
    environment,
    () => state,
    first,
    ({ links }, woke) => void seen.push([links.map(({ name }) => name).join(), woke]),
  )
  await environment.advance(60_000)
  t.same(seen, [])
  state = stateOf([linkOf('eth0', '10.0.0.1'), linkOf('eth1', '10.0.1.1')])
  await environment.advance(5000)
  t.same(seen, [['eth0,eth1', false]])
  let jump = 0
  const sleeper = { ...environment, now: () => environment.now() + jump } as unknown as SimEnvironment
  sleeper.after = (milliseconds, run) => environment.after(milliseconds, run)
  const woken: boolean[] = []
  const stopSleeper = watchLinks(
    sleeper,
    () => state,
    state,
    (_state, woke) => void woken.push(woke),
  )
  await environment.advance(4000)
  jump = 3_600_000
  await environment.advance(4000)
  t.same(woken, [true])
  stop()
  stopSleeper()
  state = first
  await environment.advance(10_000)
  t.equal(seen.length, 1, 'it can be stopped')
})

t.test('an address has a share of answers that grows again', async (t) => {
  const environment = new SimEnvironment()
  const limit = new RateLimit(environment, { burst: 2, perSecond: 1, addresses: 2 })
  t.same([limit.take('a'), limit.take('a'), limit.take('a'), limit.take('b')], [true, true, false, true])
  await environment.advance(1000)
  t.same([limit.take('a'), limit.take('a')], [true, false])
  limit.take('b')
  limit.take('c')
  t.equal(limit.take('a'), true, 'forgotten for want of room')
})

t.test('a port is shared with others on one device', async (t) => {
  const port = 35_353
  const fds = [openBoundSocket(4, port, 'lo'), openBoundSocket(4, port, 'lo')]
  t.equal(whyPortNotBindable(4, port, 'lo'), undefined)
  t.equal(whyPortNotBindable(4, port, 'nosuch0'), 'ENODEV')
  const { closeSync } = await import('node:fs')
  for (const fd of fds) closeSync(fd)
})

t.test('names, sets and sizes', async (t) => {
  t.same(
    ['ocean', 'ocean-2', 'ocean-9'].map((current) => nextName('ocean', current)),
    ['ocean-2', 'ocean-3', 'ocean-10'],
  )
  t.equal(nextName('nas-2', 'nas-2'), 'nas-2-2')
  t.equal(nextName('x'.repeat(63), 'x'.repeat(63)).length, 63)
  const record = (data: string): ResourceRecord => ({ name: 'a.local', type: 'A', data })
  // RFC 6762 8.2's example: 169.254.200.50 comes after 169.254.99.200.
  t.ok(compareRecordSets([record('169.254.200.50')], [record('169.254.99.200')]) > 0)
  t.ok(compareRecordSets([record('10.0.0.1')], [record('10.0.0.1'), record('10.0.0.2')]) < 0)
  t.equal(compareRecordSets([record('10.0.0.1')], [record('10.0.0.1')]), 0)
  const server = { name: 'a._smb._tcp.local', type: 'SRV', data: { port: 445, target: 'A.local' } }
  t.equal(
    recordKey(server),
    recordKey({ ...server, name: 'A._smb._tcp.LOCAL.', data: { port: 445, target: 'a.local' } }),
  )
  for (const data of [null, 7, {}, [], { target: 'x' }, { nextDomain: 1 }]) {
    t.type(recordKey({ name: 'x', type: 'MX', data: data as never }), 'string')
    t.type(recordKey({ name: 'x', type: 'SRV', data: data as never }), 'string')
  }
  const many = Array.from({ length: 40 }, (_, index) => ({
    name: 'ocean._adisk._tcp.local',
    type: 'TXT',
    data: [Buffer.alloc(100, index)],
  }))
  const messages = intoMessages(many)
  t.ok(
    messages.length > 2 && messages.every((each) => each.length <= 11),
    'no message is longer than a frame',
  )
  t.equal(messages.flat().length, 40)
})
