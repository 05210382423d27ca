r"""NAdamW: Adam with Nesterov momentum and decoupled weight decay, linear warmup and cosine decay.

Nesterov's momentum looks one step ahead: it moves along the running mean as it will be, were the
next gradient equal to this one. That is the running mean once more mixed with the gradient. For
gradient :math:`g_t`, :math:`t = 1, 2, …`, and :math:`m_0 = v_0 = 0`,

.. math::
    m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
    v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
    n_t &= \beta_1 m_t + (1 - \beta_1) g_t \\
    p_t &= p_{t-1} - \eta_t \left(
        \frac{n_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} + \lambda p_{t-1}
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

:math:`\epsilon = 10^{-8}`. Other libraries mean something else by this name. `optax.nadamw`
corrects the two parts of :math:`n_t` for bias apart,

.. math::
    \beta_1 m_t / (1 - \beta_1^{t+1}) + (1 - \beta_1) g_t / (1 - \beta_1^t)

while here :math:`n_t` is corrected as a whole, like Adam's mean. `torch.optim.NAdam` follows
Dozat's schedule, in which the weight of the look-ahead grows with :math:`t`; here it is constant.

References:
    Dozat 2016, Incorporating Nesterov Momentum into Adam, ICLR workshop,
    https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ
    Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization, https://arxiv.org/abs/1711.05101
    Dahl et al. 2023, Benchmarking Neural Network Training Algorithms, appendix on baselines,
    https://arxiv.org/abs/2306.07179
"""
