/** Report types are written out where they are documented; with this the compiler holds them and their schemas to each other. */

/** What a schema describes, read-only throughout as reports are. */
export type Described<T> = T extends readonly (infer Item)[]
  ? readonly Described<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Described<T[Key]> }
    : T
