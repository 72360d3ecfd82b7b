import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// verifier.html is one file: one script that imports nothing, its worker inside it. scripts/pack.mjs puts the parts together.
export default defineConfig({
  root: 'verifier',
  plugins: [svelte({ configFile: new URL('svelte.config.js', import.meta.url).pathname })],
  build: {
    outDir: '../dist/verifier',
    emptyOutDir: true,
    target: 'es2022',
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    rollupOptions: { output: { format: 'iife', inlineDynamicImports: true, entryFileNames: 'verifier.js', assetFileNames: 'verifier[extname]' } },
  },
  worker: { format: 'iife' },
});
