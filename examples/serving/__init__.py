"""A server for a file of `to_onnx`. It needs numpy, onnxruntime and FastAPI, and neither torch nor sklearn_fsmd."""
