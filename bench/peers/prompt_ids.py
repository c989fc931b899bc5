"""Token ids that stand for a prompt of exactly n tokens, the same for every engine that takes ids.

What the tokens are does not change the work. Different seeds share no prefix, so that no engine's
prefix cache can skip a timed prompt.
"""

import random


def prompt_ids(n, seed):
    ids = random.Random(seed)
    return [ids.randrange(1000, 40000) for _ in range(n)]
