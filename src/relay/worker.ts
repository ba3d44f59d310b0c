/** What the mmsg datapath's worker thread runs. */
import { workerData } from 'node:worker_threads'
import { runWorker } from './datapath/mmsg/index.ts'
import type { WorkerSettings } from './datapath/mmsg/messages.ts'
import { createServer } from './server.ts'

await runWorker(workerData as WorkerSettings, createServer)
