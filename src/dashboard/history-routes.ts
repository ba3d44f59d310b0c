/** Past check-ups: the list, one of them as it was or redacted, and forgetting one. */
import Type, { type TObject } from 'typebox'
import type { Api } from './api.ts'
import { ApiError } from './errors.ts'
import type { History } from './history.ts'

const idSchema = Type.Object({ id: Type.String({ maxLength: 40 }) })

const entrySchema = Type.Object({
  id: Type.String(),
  at: Type.Number({ description: 'Milliseconds since 1970.' }),
  kind: Type.String(),
  summary: Type.String(),
})

const unknown = (): ApiError => new ApiError(404, 'there is no such check-up', 'only the newest hundred are kept')

export function addHistoryRoutes(api: Api, history: History, failures: Readonly<Record<string, TObject>>): void {
  const list = Type.Object({ checks: Type.Array(entrySchema) })
  api.get('/api/history', { schema: { response: { 200: list, ...failures } } }, () => ({ checks: [...history.list()] }))

  api.get('/api/history/:id', { schema: { params: idSchema } }, ({ params: { id } }) => {
    const found = history.get(id)
    if (!found) throw unknown()
    return found.report
  })

  api.get('/api/history/:id/redacted', { schema: { params: idSchema } }, ({ params: { id } }, reply) => {
    const found = history.get(id)
    if (!found) throw unknown()
    void reply.header('content-disposition', `attachment; filename="natcheck-${id.slice(0, 13)}.json"`)
    return found.redacted
  })

  api.delete('/api/history/:id', { schema: { params: idSchema } }, async ({ params: { id } }, reply) => {
    if (!history.remove(id)) throw unknown()
    return await reply.code(204).send()
  })
}
