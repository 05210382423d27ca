"""NAdamW in PyTorch."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR

from algoperf_baselines.batch_sizes import BATCH_SIZES
from algoperf_baselines.schedules_torch import warmup_cosine
from algoperf_core import from_torch
from algoperf_core.spec import Hyperparameters


# PyTorch is not typed where it is not installed.
class NAdamW(torch.optim.Optimizer):  # type: ignore[misc, unused-ignore]
    r"""NAdamW with decoupled weight decay, over all parameters at once.

    >>> parameter = torch.nn.Parameter(torch.zeros(2))
    >>> parameter.grad = torch.tensor([2.0, -0.5])
    >>> NAdamW([parameter], lr=0.1, betas=(0.9, 0.999)).step()
    >>> parameter.data  # lr * (1 + beta1) in the first step, whatever the gradient's size
    tensor([-0.1900,  0.1900])

    Args:
        params: Parameters, or groups of parameters with options of their own. Parameters without a
            gradient are left alone; sparse gradients are not supported.
        lr: :math:`\eta`.
        betas: :math:`(\beta_1, \beta_2)`, decays of the running means of gradients and of squared
            gradients; the former is the weight of the look-ahead, too.
        eps: :math:`\epsilon`, added to the root, not under it.
        weight_decay: :math:`\lambda`, multiplied by the learning rate.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float],
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Makes one update.

        Args:
            closure: Computes the loss and its gradients, where they are not there yet.

        Returns:
            What the closure returned; None without one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                self._update(group)
        return loss

    def _update(self, group: dict[str, Any]) -> None:
        params = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not params:
            return
        gradients = [parameter.grad for parameter in params]
        states = [self._state_of(parameter) for parameter in params]
        for state in states:
            state["step"] += 1
        steps = [state["step"] for state in states]
        means = [state["exp_avg"] for state in states]
        squares = [state["exp_avg_sq"] for state in states]
        lr, (beta1, beta2) = group["lr"], group["betas"]

        torch._foreach_mul_(params, 1 - lr * group["weight_decay"])
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        ahead = torch._foreach_lerp(means, gradients, 1 - beta1)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, [(1 - beta2**step) ** 0.5 for step in steps])
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(params, ahead, roots, [-lr / (1 - beta1**step) for step in steps])

    def _state_of(self, parameter: torch.Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state


def optimizer(
    parameters: Iterable[torch.nn.Parameter], hyperparameters: Hyperparameters, step_hint: int
) -> tuple[NAdamW, LambdaLR]:
    """Builds NAdamW and its scheduler.

    Args:
        parameters: Parameters of the model.
        hyperparameters: A point of the search space.
        step_hint: Number of updates that the schedule plans for.
    """
    nadamw = NAdamW(
        parameters,
        lr=hyperparameters.learning_rate,
        betas=(1.0 - hyperparameters.one_minus_beta1, hyperparameters.beta2),
        weight_decay=hyperparameters.weight_decay,
    )
    return nadamw, warmup_cosine(nadamw, step_hint, hyperparameters.warmup_factor)


submission = from_torch(optimizer, batch_size=BATCH_SIZES)
