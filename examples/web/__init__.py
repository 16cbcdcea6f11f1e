"""A page that ranks a simulated shop in the browser: static files, an exported model and onnxruntime-web."""
