import pytest
import torch

from segue_training.model.codes import name_codes, prompt_codes, relation_codes
from segue_training.model.config import COLOURS, RELATIONS, DecoderConfig
from segue_training.model.mask_decoder import Candidates, MaskDecoder, Peaks

CONFIG = DecoderConfig()


class Says(torch.nn.Module):
    """A head that always answers the same."""

    def __init__(self, index: int, size: int):
        super().__init__()
        self.answer = torch.nn.functional.one_hot(torch.tensor([index]), size) * 1e4

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.answer


@pytest.fixture(scope="module")
def decoder() -> MaskDecoder:
    torch.manual_seed(0)
    return MaskDecoder(CONFIG).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def features() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = {"b2": (24, 128), "b5": (32, 64), "c4": (88, 32), "b14": (120, 16), "heatmap": (80, 128), "ltrb": (4, 128)}
    made = {name: torch.randn(1, c, side, side, generator=generator) for name, (c, side) in shapes.items()}
    made["ltrb"] = made["ltrb"].abs() * 30 + 10
    made["rgb"] = torch.randint(0, 256, (1, 3, 512, 512), generator=generator, dtype=torch.uint8)
    return made


def test_several_prompts_at_once_give_what_they_give_alone(decoder, features):
    prompts = prompt_codes(CONFIG, torch.tensor([3, 41, 60]), torch.tensor([0, 1, 2]))
    size = torch.tensor([384, 512])
    together, scores = decoder(features, prompts, size)
    assert together.shape == (3, 512, 512) and scores.shape == (3,)
    assert ((scores >= 0) & (scores <= 1)).all()
    for i in range(3):
        alone, score = decoder(features, prompts[i : i + 1], size)
        torch.testing.assert_close(alone[0], together[i], atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(score[0], scores[i], atol=1e-4, rtol=0)


def test_a_prompt_finds_its_class(features):
    """Evidence of a one-hot query is the class's own heatmap, and its strongest cell is the first peak."""
    decoder = MaskDecoder(CONFIG)
    decoder.query = Says(7, CONFIG.classes)
    evidence = decoder.evidence(features, torch.zeros(1, 256))
    torch.testing.assert_close(evidence[0], features["heatmap"][0, 7].sigmoid())
    assert decoder.peaks(features, evidence).evidence[0, 0] == evidence.max()


def choose(decoder: MaskDecoder, relation: str, evidence=(0.9, 0.8, 0.5, 0.05), iou=(0.8, 0.9, 0.7, 0.9)) -> list[int]:
    """Which of four things is chosen: far left small, far right large, middle, and an implausible one."""
    boxes = torch.tensor([[[0.0, 0, 40, 40], [400, 300, 500, 400], [230, 230, 280, 280], [0, 490, 10, 500]]])
    colours = torch.tensor([[red, 0.1, 1 - red] for red in (0.1, 0.2, 0.6, 0.9)])
    shares = torch.zeros(1, 4, len(COLOURS))
    shares[0][:, [COLOURS.index(name) for name in ("red", "green", "blue")]] = colours
    away = torch.tensor([[0.3, 0.2, 0.1, 0.0]])
    found = Candidates(Peaks(torch.tensor([evidence]), boxes), torch.zeros(1, 4, 48, 48), torch.tensor([iou]), shares, away)
    decoder.relation = Says(RELATIONS.index(relation), len(RELATIONS))
    chosen = decoder.choose(torch.zeros(1, 256), found, torch.tensor([512, 512]))
    return chosen[0].nonzero()[:, 0].tolist()


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("one", [1]),
        ("all", [0, 1, 2]),
        ("left", [0]),
        ("right", [1]),
        ("top", [0]),
        ("bottom", [1]),
        ("largest", [1]),
        ("smallest", [0]),
        ("middle", [2]),
        ("second_left", [2]),
        ("third_left", [1]),
        ("fourth_left", [1]),
        ("second_right", [2]),
        ("near", [2]),
        ("red", [2]),
        ("blue", [0]),
    ],
)
def test_the_relation_picks_among_plausible_things(relation, expected):
    assert choose(MaskDecoder(CONFIG), relation) == expected


def test_something_is_chosen_even_where_nothing_is_plausible():
    for relation in RELATIONS:
        assert len(choose(MaskDecoder(CONFIG), relation, evidence=(0.02, 0.01, 0.01, 0.01), iou=(0.1, 0.2, 0.1, 0.1))) == 1


def test_an_answer_unites_what_was_chosen_and_says_why(decoder, features):
    prompts = prompt_codes(CONFIG, torch.tensor([3, 41]), torch.tensor([0, 1]))
    frames, signals = decoder.answer(features, prompts, torch.tensor([512, 512]))
    assert frames.shape == (2, 512, 512) and signals.shape == (2, 3)
    torch.testing.assert_close(signals[:, 0], torch.ones(2))
    torch.testing.assert_close(
        decoder(features, prompts, torch.tensor([512, 512]))[1], (signals @ decoder.score_weights).sigmoid()
    )


def test_codes_are_fixed_and_far_apart():
    codes = torch.nn.functional.normalize(torch.cat([name_codes(CONFIG), relation_codes(CONFIG)]), dim=1)
    cosines = codes @ codes.T - torch.eye(len(codes))
    assert cosines.abs().max() < 0.4
    torch.testing.assert_close(name_codes(CONFIG)[0, :3], torch.tensor([-1.046191, 1.230521, 1.866212]), atol=1e-6, rtol=0)


def test_one_peak_of_a_thing_is_drawn_and_none_that_is_weak(decoder):
    thing, beside = [100.0, 100.0, 200.0, 200.0], [300.0, 100.0, 400.0, 200.0]
    again, again_beside = [105.0, 100.0, 205.0, 200.0], [300.0, 104.0, 400.0, 204.0]
    boxes = torch.tensor([[thing, again, beside, again_beside, [0.0, 0.0, 50.0, 50.0]]])
    drawn = decoder.worth_drawing(Peaks(torch.tensor([[0.8, 0.7, 0.6, 0.5, 0.1]]), boxes))
    assert drawn.tolist() == [[True, False, True, False, False]]


def test_a_peak_is_drawn_beside_the_same_box_of_one_that_is_not(decoder):
    """Shifted by a tenth each: the second is the first again, the third is like the second but not like the first."""
    boxes = torch.tensor([[[float(left), 0.0, left + 100.0, 100.0] for left in (0, 12, 24)]])
    drawn = decoder.worth_drawing(Peaks(torch.tensor([[0.8, 0.7, 0.6]]), boxes))
    assert drawn.tolist() == [[True, False, True]]
