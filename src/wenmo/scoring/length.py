"""Length: whether a text is as long as its reference."""

from wenmo.text.characters import without_space


def length_score(text: str, reference: str) -> float:
    """1 at the reference's length, falling to 0 at four times and at a third of it.

    The S_l of LongBench-Write (Bai et al. 2024, https://arxiv.org/abs/2408.07055), over 100:
    max(0, 1 - (l'/l - 1)/3) for a longer text, max(0, 1 - (l/l' - 1)/2) for a shorter one.
    """
    actual, wanted = len(without_space(text)), len(without_space(reference))
    if actual == 0:
        return 0.0
    if actual > wanted:
        return max(0.0, 1 - (actual / wanted - 1) / 3)
    return max(0.0, 1 - (wanted / actual - 1) / 2)
