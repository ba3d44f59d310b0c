/** Starts the engine that was asked for. Each is loaded only when it is. */
import { NatcheckError } from '../core/index.ts'
import { checkHostAddresses } from './addresses.ts'
import type { StartRelay } from './relay.ts'

/**
 * Rejects, with nothing left open, with a NatcheckError: USAGE or BAD_FILE for options that make no sense, UNSUPPORTED for
 * what the engine doesn't have or where it isn't installed, and as `Network.openDatagram` does where an address can't be had.
 */
export const startRelay: StartRelay = async (ports, options, callbacks) => {
  const { engine = 'native' } = options
  checkHostAddresses(options)
  switch (engine) {
    case 'native': {
      const { startNativeRelay } = await import('./native.ts')
      return await startNativeRelay(ports, options, callbacks)
    }
    case 'node-turn': {
      const { startNodeTurnRelay } = await import('./node-turn/engine.ts')
      return await startNodeTurnRelay(ports, options, callbacks)
    }
    case 'coturn': {
      const { startCoturnRelay } = await import('./coturn/engine.ts')
      return await startCoturnRelay(ports, options, callbacks)
    }
    default:
      throw new NatcheckError('USAGE', `there is no engine "${String(engine)}"`, {
        fix: 'give native, node-turn or coturn',
      })
  }
}
