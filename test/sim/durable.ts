/** MS-SMB2 3.2.4.3.5, 3.2.4.4: a simulated client with durable opens, and how it comes back for them. */

import { OplockLevel } from '../../protocols/smb2/messages/create.ts'
import type { CreateContext } from '../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import type { FileId } from '../../protocols/smb2/messages/structure.ts'
import type { SimServer } from './sim-server.ts'
import { leaseBits, SimClient, type SimCreated } from './smb2-client.ts'
import type { CreateFields } from './smb2-requests.ts'
import { durableReconnect, durableRequest, leaseRequest } from './world/wire.ts'

export const MINUTE = 60_000
export const CLIENT_GUID = Buffer.alloc(16, 'c')
export const LEASE_KEY = Buffer.alloc(16, 'k')
export const GUID = Buffer.alloc(16, 'g')

/** The same machine each time. */
export function mount(
  sim: SimServer,
  options: Partial<Parameters<typeof SimClient.mount>[1] & object> = {},
): Promise<SimClient> {
  return SimClient.mount(sim, { dialects: [Dialect.SMB_3_0], clientGuid: CLIENT_GUID, ...options })
}

export const sessionOf = (client: SimClient): bigint => client.session?.id ?? 0n

/** CREATE of "file" with a durable handle of version 2 and a batch oplock. */
export function open(
  client: SimClient,
  fields: Partial<CreateFields> = {},
  timeout = 0,
): Promise<SimCreated> {
  return client.create({
    ...{ name: 'file', requestedOplockLevel: OplockLevel.BATCH },
    createContexts: [durableRequest(GUID, timeout)],
    ...fields,
  })
}

/** The same with a lease. */
export function openLeased(client: SimClient, state: string, name = 'file'): Promise<SimCreated> {
  const createContexts = [leaseRequest(LEASE_KEY, leaseBits(state)), durableRequest(GUID, 0)]
  return client.create({ name, requestedOplockLevel: OplockLevel.LEASE, createContexts })
}

export function comeBack(client: SimClient, fileId: FileId, ...more: CreateContext[]): Promise<SimCreated> {
  return client.create({ name: 'file', createContexts: [durableReconnect(fileId, GUID), ...more] })
}
