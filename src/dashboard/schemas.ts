/** What the API takes and gives: one schema for the types, the validation and the OpenAPI document. */
import Type, {
  type TArray,
  type TBoolean,
  type TNull,
  type TObject,
  type TOptional,
  type TString,
  type TUnion,
} from 'typebox'

const closed = { additionalProperties: false }

export const errorSchema: TObject<{ error: TString; fix: TUnion<[TString, TNull]> }> = Type.Object({
  error: Type.String({ description: 'What is wrong, in one line.' }),
  fix: Type.Union([Type.String(), Type.Null()], { description: 'What to do about it.' }),
})

export const sessionSchema: TObject<{ token: TString }> = Type.Object(
  { token: Type.String({ maxLength: 1000 }) },
  closed,
)

export const configSchema: TObject<{ host: TBoolean; relay: TBoolean; peer: TBoolean }> = Type.Object({
  host: Type.Boolean({ description: 'It can check the host it runs on.' }),
  relay: Type.Boolean({ description: 'It watches a relay.' }),
  peer: Type.Boolean({ description: 'Its host can be a peer: node-datachannel is installed.' }),
})

export const iceServersSchema: TObject<{
  iceServers: TArray<TObject<{ urls: TArray<TString>; username: TOptional<TString>; credential: TOptional<TString> }>>
}> = Type.Object({
  iceServers: Type.Array(
    Type.Object({
      urls: Type.Array(Type.String()),
      username: Type.Optional(Type.String({ description: 'Expires: seconds since 1970, and who asked.' })),
      credential: Type.Optional(Type.String()),
    }),
  ),
})

export const roomSchema: TObject<{ room: TString }> = Type.Object({
  room: Type.String({ maxLength: 64, description: '128 random bits. Whoever knows it may join.' }),
})
