/** The candidates as a table that can be filtered, sorted and copied. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { type Candidate, isHidden } from './candidate.ts'
import { CopyButton, milliseconds } from './parts.tsx'

interface Column {
  readonly name: string
  readonly value: (candidate: Candidate) => string | number | null
  readonly numeric?: boolean
}

const columns: readonly Column[] = [
  { name: 'Type', value: ({ type }) => type },
  { name: 'Protocol', value: ({ protocol, tcpType }) => (tcpType ? `${protocol} ${tcpType}` : protocol) },
  { name: 'Relay protocol', value: ({ relayProtocol }) => relayProtocol },
  { name: 'Address', value: ({ address }) => address },
  { name: 'Port', value: ({ port }) => port, numeric: true },
  { name: 'Related address', value: ({ related }) => related },
  { name: 'Priority', value: ({ priority }) => priority, numeric: true },
  { name: 'Foundation', value: ({ foundation }) => foundation },
  { name: 'Server', value: ({ server }) => server },
  { name: 'Time', value: ({ atMs }) => atMs, numeric: true },
]

interface Order {
  readonly column: Column | undefined
  readonly descending: boolean
}

function arrange(
  candidates: readonly Candidate[],
  filter: string,
  { column, descending }: Order,
): readonly Candidate[] {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  const matches = (candidate: Candidate): boolean => {
    const text = columns
      .map(({ value }) => String(value(candidate) ?? ''))
      .join(' ')
      .toLowerCase()
    return words.every((word) => text.includes(word))
  }
  const found = candidates.filter(matches)
  if (!column) return found
  const sign = descending ? -1 : 1
  return found.toSorted((a, b) => {
    const [left, right] = [column.value(a), column.value(b)]
    if (typeof left === 'number' && typeof right === 'number') return sign * (left - right)
    return sign * String(left ?? '').localeCompare(String(right ?? ''))
  })
}

export function CandidateTable(props: { readonly candidates: readonly Candidate[] }): JSX.Element {
  const [filter, setFilter] = useState('')
  const [order, setOrder] = useState<Order>({ column: undefined, descending: false })
  const shown = arrange(props.candidates, filter, order)
  const sortBy = (column: Column): void =>
    setOrder({ column, descending: order.column === column && !order.descending })
  return (
    <>
      <div class="table-tools">
        <label>
          Filter{' '}
          <input
            type="search"
            value={filter}
            placeholder="relay tcp"
            onInput={({ currentTarget }) => setFilter(currentTarget.value)}
          />
        </label>
        <span role="status">
          {shown.length === props.candidates.length
            ? `${shown.length}`
            : `${shown.length} of ${props.candidates.length}`}{' '}
          candidates
        </span>
        <CopyButton text={() => JSON.stringify(shown, null, 2)}>Copy as JSON</CopyButton>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Candidates">
        <table class="candidates">
          <thead>
            <tr>
              {columns.map((column) => (
                <th
                  key={column.name}
                  scope="col"
                  class={column.numeric ? 'number' : undefined}
                  aria-sort={order.column !== column ? 'none' : order.descending ? 'descending' : 'ascending'}
                >
                  <button type="button" onClick={() => sortBy(column)}>
                    {column.name}
                    <span aria-hidden="true">{order.column !== column ? '' : order.descending ? ' ▾' : ' ▴'}</span>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((candidate) => (
              <tr key={candidate.line} class={`type-${candidate.type}`}>
                {columns.map((column) => (
                  <td key={column.name} data-column={column.name} class={column.numeric ? 'number' : undefined}>
                    {cell(column, candidate)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {props.candidates.some(isHidden) && (
        <p class="hint">
          Addresses that end in <code>.local</code> are hidden: until a page may use the camera or the microphone,
          browsers replace the addresses of your local network by random names (mDNS, RFC 8828). Peers in the same
          network can resolve them; it is no fault.
        </p>
      )}
    </>
  )
}

function cell(column: Column, candidate: Candidate): string {
  const value = column.value(candidate)
  if (value === null) return '–'
  return column.name === 'Time' ? milliseconds(Number(value)) : String(value)
}
