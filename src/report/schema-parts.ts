/** What the schemas of all reports share. Loads typebox, which is slow. */
import Type, { type TSchema, type TUnion, type TNull } from 'typebox'

export const nullable = <T extends TSchema>(type: T): TUnion<[T, TNull]> => Type.Union([type, Type.Null()])

/** No other keys. */
export const closed: { readonly additionalProperties: false } = { additionalProperties: false }
