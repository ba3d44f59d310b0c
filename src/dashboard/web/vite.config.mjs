/** Builds the page into dist/, beside the server that serves it. */
import { defineConfig } from 'vite'

export default defineConfig({
  // The page works wherever it is mounted, and offline.
  base: './',
  build: {
    outDir: '../../../dist/dashboard/web',
    emptyOutDir: true,
    target: 'es2022',
    // Inlined assets would need data: in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
})
