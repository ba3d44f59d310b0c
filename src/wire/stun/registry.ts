/** Names and numbers of the IANA STUN registries, for reports and for telling known from unknown. */
import { Method } from './method.ts'

/** Assigned attribute types and their names; the reserved ones that RFC 3489 servers still send are there too. */
export const attributeNames: ReadonlyMap<number, string> = new Map([
  [0x0001, 'MAPPED-ADDRESS'],
  [0x0002, 'RESPONSE-ADDRESS'],
  [0x0003, 'CHANGE-REQUEST'],
  [0x0004, 'SOURCE-ADDRESS'],
  [0x0005, 'CHANGED-ADDRESS'],
  [0x0006, 'USERNAME'],
  [0x0007, 'PASSWORD'],
  [0x0008, 'MESSAGE-INTEGRITY'],
  [0x0009, 'ERROR-CODE'],
  [0x000a, 'UNKNOWN-ATTRIBUTES'],
  [0x000b, 'REFLECTED-FROM'],
  [0x000c, 'CHANNEL-NUMBER'],
  [0x000d, 'LIFETIME'],
  [0x0012, 'XOR-PEER-ADDRESS'],
  [0x0013, 'DATA'],
  [0x0014, 'REALM'],
  [0x0015, 'NONCE'],
  [0x0016, 'XOR-RELAYED-ADDRESS'],
  [0x0017, 'REQUESTED-ADDRESS-FAMILY'],
  [0x0018, 'EVEN-PORT'],
  [0x0019, 'REQUESTED-TRANSPORT'],
  [0x001a, 'DONT-FRAGMENT'],
  [0x001b, 'ACCESS-TOKEN'],
  [0x001c, 'MESSAGE-INTEGRITY-SHA256'],
  [0x001d, 'PASSWORD-ALGORITHM'],
  [0x001e, 'USERHASH'],
  [0x0020, 'XOR-MAPPED-ADDRESS'],
  [0x0022, 'RESERVATION-TOKEN'],
  [0x0024, 'PRIORITY'],
  [0x0025, 'USE-CANDIDATE'],
  [0x0026, 'PADDING'],
  [0x0027, 'RESPONSE-PORT'],
  [0x002a, 'CONNECTION-ID'],
  [0x8000, 'ADDITIONAL-ADDRESS-FAMILY'],
  [0x8001, 'ADDRESS-ERROR-CODE'],
  [0x8002, 'PASSWORD-ALGORITHMS'],
  [0x8003, 'ALTERNATE-DOMAIN'],
  [0x8004, 'ICMP'],
  [0x8020, 'XOR-MAPPED-ADDRESS (draft)'],
  [0x8022, 'SOFTWARE'],
  [0x8023, 'ALTERNATE-SERVER'],
  [0x8025, 'TRANSACTION_TRANSMIT_COUNTER'],
  [0x8027, 'CACHE-TIMEOUT'],
  [0x8028, 'FINGERPRINT'],
  [0x8029, 'ICE-CONTROLLED'],
  [0x802a, 'ICE-CONTROLLING'],
  [0x802b, 'RESPONSE-ORIGIN'],
  [0x802c, 'OTHER-ADDRESS'],
  [0x802d, 'ECN-CHECK STUN'],
  [0x802e, 'THIRD-PARTY-AUTHORIZATION'],
  [0x8030, 'MOBILITY-TICKET'],
  [0xc000, 'CISCO-STUN-FLOWDATA'],
  [0xc001, 'ENF-FLOW-DESCRIPTION'],
  [0xc002, 'ENF-NETWORK-STATUS'],
  [0xc057, 'GOOG-NETWORK-INFO'],
  [0xc058, 'GOOG-LAST-ICE-CHECK-RECEIVED'],
  [0xc059, 'GOOG-MISC-INFO'],
  [0xc05a, 'GOOG-OBSOLETE-1'],
  [0xc05b, 'GOOG-CONNECTION-ID'],
  [0xc05c, 'GOOG-DELTA'],
  [0xc05d, 'GOOG-DELTA-ACK'],
  [0xc060, 'GOOG-MESSAGE-INTEGRITY-32'],
  [0xc070, 'DTLS-IN-STUN'],
  [0xc071, 'DTLS-IN-STUN-ACKNOWLEDGEMENT'],
  [0xff05, 'LOGGING-ID'],
])

/** Reason phrases of assigned error codes. RFC 8489 §14.8 and the RFCs that register more */
export const errorReasons: ReadonlyMap<number, string> = new Map([
  [300, 'Try Alternate'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [405, 'Mobility Forbidden'],
  [420, 'Unknown Attribute'],
  [437, 'Allocation Mismatch'],
  [438, 'Stale Nonce'],
  [440, 'Address Family not Supported'],
  [441, 'Wrong Credentials'],
  [442, 'Unsupported Transport Protocol'],
  [443, 'Peer Address Family Mismatch'],
  [446, 'Connection Already Exists'],
  [447, 'Connection Timeout or Failure'],
  [486, 'Allocation Quota Reached'],
  [487, 'Role Conflict'],
  [500, 'Server Error'],
  [508, 'Insufficient Capacity'],
])

const methodNames: ReadonlyMap<number, string> = new Map([
  [Method.binding, 'Binding'],
  [Method.sharedSecret, 'SharedSecret'],
  [Method.allocate, 'Allocate'],
  [Method.refresh, 'Refresh'],
  [Method.send, 'Send'],
  [Method.data, 'Data'],
  [Method.createPermission, 'CreatePermission'],
  [Method.channelBind, 'ChannelBind'],
  [Method.connect, 'Connect'],
  [Method.connectionBind, 'ConnectionBind'],
  [Method.connectionAttempt, 'ConnectionAttempt'],
])

/** `Binding`; the number where there is no name. */
export const methodName = (method: number): string => methodNames.get(method) ?? number(method, 3)

/** `XOR-MAPPED-ADDRESS`; the number where there is no name. */
export const attributeName = (type: number): string => attributeNames.get(type) ?? number(type, 4)

/** The registered reason phrase of an error code; empty when it has none. */
export const errorReason = (code: number): string => errorReasons.get(code) ?? ''

/** Comprehension-required types that natcheck has a codec for. A test holds this against the codecs. */
export const comprehended: ReadonlySet<number> = new Set([...attributeNames.keys()].filter((type) => type < 0x8000))

const number = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`
