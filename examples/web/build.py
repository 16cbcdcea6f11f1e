"""Build the page: python -m web.build build/web. Any file server can serve the folder.

This trains and exports the model, and copies the files of onnxruntime-web from where npm installed them.
"""

import argparse
import json
import shutil
from pathlib import Path

import onnxruntime

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.export import to_onnx
from web import shop

HERE = Path(__file__).parent
STATIC = ("index.html", "style.css", "icon.svg", *sorted(path.name for path in HERE.glob("*.js")))
RUNTIME = HERE / "node_modules" / "onnxruntime-web" / "dist"
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""The smallest build of the runtime: WebAssembly only."""


def main(folder: Path, n_samples: int = 20_000) -> FSMDClassifier:
    """Write the page into the folder, and return the model that it shows."""
    if not RUNTIME.is_dir():
        raise FileNotFoundError(f"{RUNTIME} is missing. Run: npm ci --prefix {HERE.name}, in {HERE.parent}")
    (folder / "ort").mkdir(parents=True, exist_ok=True)
    for name in STATIC:
        shutil.copyfile(HERE / name, folder / name)
    for name in RUNTIME_FILES:
        shutil.copyfile(RUNTIME / name, folder / "ort" / name)
    X, Y = shop.log(n_samples)
    model = shop.train(X, Y)
    to_onnx(model, folder / "model.onnx")
    content = {"columns": described_columns(folder / "model.onnx"), **shop.visits(X)}
    (folder / "shop.json").write_text(json.dumps(content))
    return model


def described_columns(path: Path) -> list[dict[str, object]]:
    """Return the metadata entry "columns", since onnxruntime-web does not expose the metadata of a file."""
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    return json.loads(metadata["columns"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=20_000)
    arguments = parser.parse_args()
    main(arguments.folder, arguments.samples)
    print(f"The page is in {arguments.folder}.")
