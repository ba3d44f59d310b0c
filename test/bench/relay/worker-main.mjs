// The worker of the mmsg datapath.
import { workerData } from 'node:worker_threads'
import { runWorker } from '../../../dist/relay/datapath/mmsg/index.js'
import { createServer } from './server.mjs'

await runWorker(workerData, createServer)
