/** node-turn 0.0.6 has no types: package.ts says what is used of it. */
declare module 'node-turn' {
  const exported: unknown
  export default exported
}
declare module 'node-turn/lib/*' {
  const exported: unknown
  export default exported
}
