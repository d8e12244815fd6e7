import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds an edge; the built pages are served by the edge itself. */
const EDGE = "http://127.0.0.1:8080";

export default defineConfig({
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: {
      "/live": EDGE,
      "/media": EDGE,
      "/thumb": EDGE,
      "/chat": { target: EDGE, ws: true },
    },
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node", css: true },
});
