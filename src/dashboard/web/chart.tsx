/** A plot of values over time. Lines differ in dashes as well as in colour. */
import type { JSX } from 'preact'
import { niceCeiling } from './waterfall.tsx'

export interface Series {
  readonly name: string
  /** null leaves a gap. */
  readonly values: readonly (number | null)[]
}

const width = 300
const height = 90

export function Chart(props: {
  readonly title: string
  readonly series: readonly Series[]
  /** How many samples the plot is wide; fewer stand at its right. */
  readonly length: number
  readonly format: (value: number) => string
}): JSX.Element {
  const { title, series, length, format } = props
  const known = series.flatMap(({ values }) => values.filter((value) => value !== null))
  const top = niceCeiling(Math.max(1e-6, ...known))
  const latest = series.map(({ name, values }) => {
    const value = values.at(-1)
    return `${name} ${value === undefined || value === null ? '–' : format(value)}`
  })
  return (
    <figure class="chart">
      <figcaption>
        <strong>{title}</strong>
        <span class="chart-scale">to {format(top)}</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${title}: now ${latest.join(', ')}; highest ${format(Math.max(0, ...known))}`}
      >
        <line class="grid" x1="0" x2={width} y1={height / 2} y2={height / 2} />
        <line class="grid" x1="0" x2={width} y1={height - 1} y2={height - 1} />
        {series.map(({ name, values }, index) => (
          <path
            key={name}
            class={`series-${index}`}
            d={pathOf(values, length, top)}
            vector-effect="non-scaling-stroke"
          />
        ))}
      </svg>
      <div class="chart-legend">
        {latest.map((text, index) => (
          <span key={text}>
            <svg width="22" height="8" aria-hidden="true">
              <path class={`series-${index}`} d="M0 4H22" />
            </svg>{' '}
            {text}
          </span>
        ))}
      </div>
    </figure>
  )
}

function pathOf(values: readonly (number | null)[], length: number, top: number): string {
  const shown = values.slice(-length)
  const step = width / Math.max(1, length - 1)
  const offset = length - shown.length
  let path = ''
  let isOpen = false
  shown.forEach((value, index) => {
    if (value === null) {
      isOpen = false
      return
    }
    const y = height - 2 - (Math.min(value, top) / top) * (height - 6)
    path += `${isOpen ? 'L' : 'M'}${((index + offset) * step).toFixed(1)} ${y.toFixed(1)}`
    isOpen = true
  })
  return path
}
