"""A graph's matrices in eight bits for OpenVINO, which then multiplies bytes: activations in groups of a token's own,
each with a scale of its own, made at run time."""

from __future__ import annotations

from typing import Any

import numpy as np

# Activations that share a scale. Fewer lie nearer to the original, more are faster. It divides the widths that models
# have; OpenVINO computes a product whose width it does not divide in more bits
GROUP = 128
LARGEST = 127


def weights_in_eight_bits(model: Any) -> Any:
    """The graph that OpenVINO has read, its matrices of weights in eight bits with one scale per output channel. What
    multiplies a single row of each text, as a head does, stays as it is."""
    for product in [operator for operator in model.get_ordered_ops() if operator.get_type_name() == "MatMul"]:
        values, weights = product.input_value(0), product.input_value(1)
        by_token = values.get_partial_shape().rank == 3
        if by_token and weights.get_node().get_type_name() == "Constant" and len(weights.get_shape()) == 2:
            product.output(0).replace(_in_eight_bits(product, values, weights).output(0))
    return model


def _in_eight_bits(product: Any, values: Any, weights: Any) -> Any:
    from openvino import opset13 as operators

    turned = product.get_attributes()
    matrix = weights.get_node().data.astype(np.float32)  # [in, out]
    matrix = matrix if turned["transpose_b"] else matrix.T
    scales = np.maximum(np.abs(matrix).max(axis=1, keepdims=True) / LARGEST, np.finfo(np.float32).tiny)
    whole = operators.constant(np.round(matrix / scales).astype(np.int8))
    restored = operators.multiply(operators.convert(whole, "f32"), operators.constant(scales.astype(np.float32)))
    made = operators.matmul(values, restored, turned["transpose_a"], True)
    made.set_friendly_name(product.get_friendly_name())
    return made
