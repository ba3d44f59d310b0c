/** The check-up for other programs: pure functions from the report to text. */
export { renderGithub } from './github.ts'
export { renderJunit } from './junit.ts'
export { renderMarkdown } from './markdown.ts'
