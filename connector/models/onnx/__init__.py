"""A model's network as an ONNX graph: built from its weights, taken from its folder or exported, and run on a CPU."""
