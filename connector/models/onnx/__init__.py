"""A model's network as an ONNX graph: exported, checked against the original, run on a CPU."""
