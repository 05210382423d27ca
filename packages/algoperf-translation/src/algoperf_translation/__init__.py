"""Machine translation workloads of AlgoPerf: how a trained model's output is scored.

The order of use is: `sequences_until_eos` cuts decoded and reference token ids, a tokenizer (the
caller's) turns both into text, and `CorpusBleu` accumulates the metric over the batches of a split.
"""

from algoperf_translation.bleu import CorpusBleu
from algoperf_translation.sequences import sequences_until_eos

__version__ = "0.1.0"

__all__ = ["CorpusBleu", "sequences_until_eos"]
