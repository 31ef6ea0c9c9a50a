"""What runs graphs: ONNX Runtime with its execution providers, and OpenVINO."""
