"""The ONNX side: loads untrusted models, rewrites their graphs and runs them."""
