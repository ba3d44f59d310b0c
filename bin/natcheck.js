#!/usr/bin/env node
// The command line itself is src/cli/main.ts, compiled by `npm run build`.
import '../dist/cli/main.js'
