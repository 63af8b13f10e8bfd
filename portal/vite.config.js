import { defineConfig } from 'vite';

// All files have their hash in their names but the page itself; nothing is inlined, which the page's policy would forbid.
export default defineConfig({
  base: '/portal/',
  build: {
    outDir: '../build/portal/dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: 'es2022',
  },
});
