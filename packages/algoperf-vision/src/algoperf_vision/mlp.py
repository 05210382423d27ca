"""MNIST's network: one hidden layer of sigmoids."""

from __future__ import annotations

from algoperf_workloads import Implementation, ModelDefinition


def mlp(*, input_size: int, num_hidden: int, num_classes: int) -> ModelDefinition:
    """A network with one hidden layer, on inputs `(batch, ...)` of which it flattens all but the batch.

    Args:
        input_size: Number of values of an input.
        num_hidden: Units of the hidden layer.
        num_classes: Number of classes.
    """
    return ModelDefinition(
        classes=Implementation(
            jax="algoperf_vision.mlp_jax:MLP", pytorch="algoperf_vision.mlp_torch:MLP"
        ),
        options={"input_size": input_size, "num_hidden": num_hidden, "num_classes": num_classes},
        module_names={"Dense_0": "net.layer1", "Dense_1": "net.layer2"},
        output_layer="Dense_1",
    )


MNIST = mlp(input_size=28 * 28, num_hidden=128, num_classes=10)
"""The network of the workload `mnist`: 101,770 parameters."""
