/** TURN on the wire: attributes, ChannelData and stream framing. RFC 8656 and its extensions */
export * from './attributes.ts'
export * from './channel-data.ts'
export * from './extensions.ts'
export * from './stream.ts'
