import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The content policy allows nothing inline, so nothing is inlined: no data URLs, no preload script.
export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: 'dist/app',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: { format: 'es' },
  server: {
    proxy: { '/api': { target: process.env.VOUCH_NODE ?? 'https://127.0.0.1:7550', secure: false } },
  },
  test: { include: ['tests/**/*.test.ts'] },
});
