r"""Nesterov: gradient descent with Nesterov momentum and L2 decay, linear warmup and linear decay.

A buffer sums past gradients with geometric weights. The step goes along the buffer as it will be,
were the next gradient equal to this one: momentum that looks ahead. For gradient :math:`g_t`,
:math:`t = 1, 2, …`, and :math:`b_0 = 0`,

.. math::
    u_t &= g_t + \lambda p_{t-1} \\
    b_t &= \mu b_{t-1} + u_t \\
    p_t &= p_{t-1} - \eta_t (u_t + \mu b_t)

Hyperparameters:
    learning_rate: :math:`\eta`, the peak of the schedule.
    one_minus_beta1: :math:`1 - \mu`, so that it can be searched on a logarithmic scale.
    warmup_factor: Share of the workload's step hint in which :math:`\eta_t` rises linearly from 0.
    weight_decay: :math:`\lambda`, for every parameter: biases, norm scales and embeddings too.
    label_smoothing, dropout_rate: For the workloads that use them.
    decay_steps_factor: Share of the steps after the warmup in which :math:`\eta_t` falls linearly.
    end_factor: :math:`\eta_t` ends, and stays, at `end_factor` times its peak.
    grad_clip: Largest global norm of the gradient; optional, not in the search space.

The decay is a term of the gradient and enters the buffer; it is not decoupled. The buffer is a sum,
not a mean: its entries are not multiplied by :math:`1 - \mu`. This is the method of Sutskever et
al. with the point that looks ahead as the parameters, and with the learning rate outside of the
buffer, as in `optax.sgd` and `torch.optim.SGD`: a change of :math:`\eta_t` acts at once on all past
gradients.

References:
    Nesterov 1983, A method for solving the convex programming problem with convergence rate
    O(1/k²), Soviet Mathematics Doklady 27(2)
    Sutskever et al. 2013, On the importance of initialization and momentum in deep learning, ICML,
    https://proceedings.mlr.press/v28/sutskever13.html
    Dahl et al. 2023, Benchmarking Neural Network Training Algorithms, appendix on baselines,
    https://arxiv.org/abs/2306.07179
"""
