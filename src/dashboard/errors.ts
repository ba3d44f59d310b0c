/** Errors of the API: a status, one line of what is wrong, and one of what to do. */
export class ApiError extends Error {
  readonly statusCode: number
  readonly fix: string | null

  constructor(statusCode: number, message: string, fix: string | null = null) {
    super(message)
    this.name = 'ApiError'
    this.statusCode = statusCode
    this.fix = fix
  }
}
