r"""AdamW: Adam with decoupled weight decay, linear warmup and cosine decay.

Each coordinate moves by the ratio of a running mean of its gradient to a running root mean square,
so that the step size does not depend on the gradient's scale. Weights decay beside this ratio, not
through the gradient, so that all coordinates decay at the same rate. For gradient :math:`g_t`,
:math:`t = 1, 2, …`, and :math:`m_0 = v_0 = 0`,

.. math::
    m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
    v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
    p_t &= p_{t-1} - \eta_t \left(
        \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} + \lambda p_{t-1}
    \right)

Hyperparameters:
    learning_rate: :math:`\eta`, the peak of the schedule.
    one_minus_beta1: :math:`1 - \beta_1`, so that it can be searched on a logarithmic scale.
    beta2: :math:`\beta_2`.
    warmup_factor: Share of the workload's step hint in which :math:`\eta_t` rises linearly from 0;
        in the rest it falls along half a cosine, and stays at 0.
    weight_decay: :math:`\lambda`, for every parameter: biases, norm scales and embeddings too.
    label_smoothing, dropout_rate: For the workloads that use them.
    grad_clip: Largest global norm of the gradient; optional, not in the search space.

:math:`\epsilon = 10^{-8}`. The decay is multiplied by the scheduled learning rate, as in
`optax.adamw` and `torch.optim.AdamW`; in Loshchilov & Hutter it is multiplied by the schedule
alone.

References:
    Kingma & Ba 2015, Adam: A Method for Stochastic Optimization, https://arxiv.org/abs/1412.6980
    Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization, https://arxiv.org/abs/1711.05101
    Dahl et al. 2023, Benchmarking Neural Network Training Algorithms, appendix on baselines,
    https://arxiv.org/abs/2306.07179
"""
