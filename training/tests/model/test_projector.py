import torch

from segue_training.model.config import VisionConfig
from segue_training.model.projector import Projector, VisualSummary

CONFIG, HIDDEN = VisionConfig(), 32


def features(peaks: list[tuple[int, int, int, float]]) -> dict[str, torch.Tensor]:
    """Encoder tensors with logits at (class, row, column), boxes 40 px to each side."""
    heatmap = torch.full((1, 80, 128, 128), -8.0)
    for label, row, column, logit in peaks:
        heatmap[0, label, row, column] = logit
    taps = {"b5": torch.zeros(1, 32, 64, 64), "c4": torch.zeros(1, 88, 32, 32), "b14": torch.zeros(1, 120, 16, 16)}
    return {**taps, "heatmap": heatmap, "ltrb": torch.full((1, 4, 128, 128), 40.0)}


def test_the_summary_says_what_is_where_and_how_many():
    found = VisualSummary(CONFIG)(features([(7, 64, 32, 2.0), (7, 10, 100, 1.5), (9, 0, 0, -1.0)]))
    assert found.pooled.shape == (1, 240, 8, 8) and found.tags.shape == (1, 80, 8, 8)
    torch.testing.assert_close(found.objects[0, 7], torch.tensor([2.0, 0.25, 0.5, 80 / 512, 80 / 512, 2.0]))
    assert found.tags[0, 7, 4, 2] == 2.0
    assert found.objects[0, 9, 5] == 1.0


def test_visual_tokens_carry_the_names_of_what_is_seen():
    torch.manual_seed(0)
    projector = Projector(CONFIG, HIDDEN)
    projector.names.copy_(torch.randn(80, HIDDEN))
    seen = VisualSummary(CONFIG)(features([(7, 64, 32, 3.0)]))
    tokens = projector(seen)
    assert tokens.shape == (1, CONFIG.visual_tokens, HIDDEN)
    similarity = torch.nn.functional.cosine_similarity(tokens[0], projector.names[7], dim=1)
    assert similarity[:64].argmax() == 4 * 8 + 2  # the cell that holds the peak
    assert similarity[64] > 0.9  # the first object token


def test_a_simulated_picture_wears_other_names():
    projector = Projector(CONFIG, HIDDEN)
    names = torch.randn(1, 80, HIDDEN)
    seen = VisualSummary(CONFIG)(features([(7, 64, 32, 3.0)]))
    assert torch.nn.functional.cosine_similarity(projector(seen, names)[0, 64], names[0, 7], dim=0) > 0.9
