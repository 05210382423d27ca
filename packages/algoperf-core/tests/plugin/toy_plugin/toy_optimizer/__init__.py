"""Plain gradient descent.

The rest of this text is not part of the summary.
"""
