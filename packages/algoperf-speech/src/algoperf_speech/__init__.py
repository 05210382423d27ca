"""Speech recognition workloads of AlgoPerf: how a trained model's output is scored.

The order of use is: `greedy_decode` turns a model's frame scores into token ids,
`token_sequences` cuts the padding off, a tokenizer (the caller's) turns ids into text, and
`WordErrorRate` accumulates the metric over the batches of a split.
"""

from algoperf_speech.decoding import BLANK_ID, greedy_decode, token_sequences
from algoperf_speech.word_error_rate import WordErrorRate, word_edit_distance

__version__ = "0.1.0"

__all__ = [
    "BLANK_ID",
    "WordErrorRate",
    "greedy_decode",
    "token_sequences",
    "word_edit_distance",
]
