"""What the rhyme books know, put into the first embeddings.

Nothing in a text says that two characters rhyme but that poets rhyme them, so that a model learns
it last. Here the embedding of a character begins with a vector that all characters of its 平水
rhyme and tone share. No code at inference knows of it. The rhyme score reads the same table, so
that a high score says that the model uses what it was given, not that it found it out.
"""

import torch

from wenmo.text.readings import Reading, line_readings


def add_readings(embeddings: torch.Tensor, tokens: dict[int, str], scale: float, seed: int) -> None:
    """Add to the embedding of each character the normalised sum of its readings' random vectors.

    `embeddings` has the shape (vocabulary, hidden size) and is changed in place; `tokens` has the
    ids of the tokens that are one character. `scale` is in mean lengths of the embeddings.
    """
    generator = torch.Generator().manual_seed(seed)
    length = embeddings.norm(dim=1).mean() * scale
    vectors: dict[Reading, torch.Tensor] = {}
    readings = {token: sorted(line_readings(text)[0]) for token, text in sorted(tokens.items())}
    for reading in sorted({each for found in readings.values() for each in found}):
        vectors[reading] = torch.randn(embeddings.shape[1], generator=generator)
    for token, found in readings.items():
        if found:
            total = torch.stack([vectors[each] for each in found]).sum(0)
            embeddings[token] += length * total / total.norm()
