"""A server for a file written by `to_onnx`. It needs numpy, onnxruntime and FastAPI, but not torch or sklearn_fsmd."""
