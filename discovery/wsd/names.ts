/** Namespaces, actions, addresses and limits of WS-Discovery (April 2005), DPWS (February 2006) and Microsoft's publication service. */

export const NS = {
  soap: 'http://www.w3.org/2003/05/soap-envelope',
  wsa: 'http://schemas.xmlsoap.org/ws/2004/08/addressing',
  wsd: 'http://schemas.xmlsoap.org/ws/2005/04/discovery',
  wsx: 'http://schemas.xmlsoap.org/ws/2004/09/mex',
  wsdp: 'http://schemas.xmlsoap.org/ws/2006/02/devprof',
  pnpx: 'http://schemas.microsoft.com/windows/pnpx/2005/10',
  pub: 'http://schemas.microsoft.com/windows/pub/2005/07',
} as const

export const TRANSFER = 'http://schemas.xmlsoap.org/ws/2004/09/transfer'
export const DISCOVERY_TO = 'urn:schemas-xmlsoap-org:ws:2005:04:discovery'
export const ANONYMOUS = `${NS.wsa}/role/anonymous`

/** What a Probe may ask for and find us. */
export const DEVICE_TYPES = [
  { namespace: NS.wsdp, name: 'Device' },
  { namespace: NS.pub, name: 'Computer' },
] as const
/** The same as they are written in our messages. */
export const TYPES_TEXT = 'wsdp:Device pub:Computer'

export const DISCOVERY_PORT = 3702
export const METADATA_PORT = 5357
export const GROUPS = { 4: '239.255.255.250', 6: 'ff02::c' } as const
/** Hop limit: discovery stays on the link. */
export const HOPS = 1
/** Messages of Windows have about 1,000 bytes; a datagram could have 64 KiB. */
export const MESSAGE_MAXIMUM_BYTES = 16_384
