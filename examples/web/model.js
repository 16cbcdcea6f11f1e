// An exported file in the browser: rows in, probabilities out.
import { InferenceSession, env } from "./ort/ort.wasm.min.mjs";
import { inputs } from "./inputs.js";

env.wasm.numThreads = 1; // more need headers that a plain file server does not send
env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href; // the page asks nobody else

/** A model, opened from an address; `columns` is the metadata entry "columns" of its file. */
export async function openModel(address, columns) {
  const session = await InferenceSession.create(String(address), { executionProviders: ["wasm"] });
  return {
    /** For each row an array with P(Y_k = 1) of each target, and one with P(step k | step before). */
    async score(rows) {
      const { marginals, conditionals } = await session.run(inputs(columns, rows));
      return { marginals: byRow(marginals), conditionals: byRow(conditionals) };
    },
  };
}

function byRow({ data, dims: [n, width] }) {
  return Array.from({ length: n }, (_, i) => Array.from(data.subarray(i * width, (i + 1) * width)));
}
