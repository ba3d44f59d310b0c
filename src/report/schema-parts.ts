/** What the schemas of all reports share. Loads typebox, which is slow. */
import Type, { type TSchema, type TUnion, type TNull } from 'typebox'

export const nullable = <T extends TSchema>(type: T): TUnion<[T, TNull]> => Type.Union([type, Type.Null()])

/** No other keys. */
export const closed: { readonly additionalProperties: false } = { additionalProperties: false }

/** A schema's type as it looks when nobody writes to it: what a report's own type is held against. */
export type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T
