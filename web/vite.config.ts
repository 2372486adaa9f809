import { resolve } from 'node:path'
import { defineConfig } from 'vite'

const web = import.meta.dirname

// Two entries share one build: the element, which host pages load by its name, and the page at /, a few lines that
// import the element. Nothing else is shared between them, so the element stays one file.
export default defineConfig({
  root: web,
  base: '/client-area/',
  publicDir: false,
  logLevel: 'warn',
  build: {
    outDir: resolve(web, '../dist/client-area'),
    emptyOutDir: true,
    target: ['chrome123', 'edge123', 'firefox121', 'safari17.5'],
    chunkSizeWarningLimit: 600,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { page: resolve(web, 'index.html'), 'latchkey-keys': resolve(web, 'src/element.tsx') },
      // Directives for React server components are irrelevant here.
      onLog: (level, log, handle) => log.code === 'MODULE_LEVEL_DIRECTIVE' || handle(level, log),
      preserveEntrySignatures: 'allow-extension',
      output: {
        entryFileNames: ({ name }) =>
          name === 'latchkey-keys' ? 'latchkey-keys.js' : 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
        chunkFileNames: 'assets/[name]-[hash].js',
      },
    },
  },
})
