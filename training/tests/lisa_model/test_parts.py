"""Each part against transformers' class with the same weights."""

import numpy as np
import onnxruntime
import pytest
import torch
from lisa_reference import Reference
from PIL import Image

from lisa.export import place_language
from lisa.facts import lisa_facts
from lisa.sam_decoder import MaskDecoder, PromptEncoder, SamDecoderConfig
from lisa.sam_encoder import SamEncoderConfig, SamImageEncoder
from lisa.tiny import SAM
from lisa.vision_tower import tower_config
from segue_training.bundle.graphs.graph import WeightFiles
from segue_training.bundle.graphs.language import build_language
from segue_training.bundle.quantize import to_float16, to_matmul_blocks


@pytest.fixture(scope="module")
def reference(family):
    return Reference(family.folder, family.clip_folder)


def close(a, b, atol=2e-5):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=atol)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_encoder_with_windows_and_global_blocks_is_sams(family, reference):
    """6 cells in windows of 4: the last window of a row is half filled."""
    assert family.encoder_config == SAM
    assert {0, 4} == set(SAM.windows)
    assert SAM.grid % 4 != 0
    pixels = noise(1, 3, SAM.frame, SAM.frame)
    close(family.sam_encoder()(pixels)["image_embeddings"], reference.sam.get_image_embeddings(pixels))


def test_the_mask_decoder_is_sams(family, reference):
    stage = family.mask_stage()
    image, prompts = noise(1, SAM.out, SAM.grid, SAM.grid), noise(3, SAM.out, seed=1)
    close(stage.positions, reference.sam.get_image_wide_positional_embeddings())
    dense = stage.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand(1, -1, SAM.grid, SAM.grid)
    for index, prompt in enumerate(prompts):
        logits, iou, *_ = reference.sam.mask_decoder(
            image_embeddings=image,
            image_positional_embeddings=stage.positions,
            dense_prompt_embeddings=dense,
            sparse_prompt_embeddings=prompt[None, None, None],
            multimask_output=False,
        )
        got, got_iou = stage.mask_decoder(image, stage.positions, prompts[:, None], dense[..., :1, :1])
        close(got[index], logits[0, 0, 0], atol=1e-4)
        close(got_iou[index], iou[0, 0, 0], atol=1e-4)


def test_the_tower_is_clips_last_but_one_state_without_its_class_token(family, reference):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8))
    pixels = torch.from_numpy(lisa_facts(family, "tiny", "0.1.0").further_images["clip"].prepare(picture)[0])
    visual = family.vision_tower()(pixels)["visual_tokens"]
    assert visual.shape == (1, 16, 64)
    close(visual, reference.visual_tokens(picture))


def test_the_number_of_visual_tokens_follows_the_tower(family):
    """336 pixels in patches of 14 give 576: the count is CLIP's, not a constant."""
    config = {"num_hidden_layers": 24, "image_size": 336, "patch_size": 14}
    clip = type("Clip", (), {"config": {"vision_config": config}})
    tower = tower_config(clip, -2)
    assert (tower.num_hidden_layers, (tower.image_size // tower.patch_size) ** 2) == (23, 576)
    with pytest.raises(ValueError, match="select_layer"):
        tower_config(clip, -30)


def test_the_language_model_is_transformers_llama(family, reference):
    language = family.language()
    embeds = noise(1, 12, 64)
    hidden, _ = language(embeds)
    expected = reference.llama.model(inputs_embeds=embeds, use_cache=False).last_hidden_state
    close(hidden, expected, atol=1e-4)  # after the final norm: what the head reads
    close(language.logits(hidden), reference.llama.lm_head(expected), atol=1e-4)
    ids = torch.tensor([[1, 5, 300, family.language_config.vocab_size - 1]])
    close(language.embed(ids), reference.llama.model.embed_tokens(ids))


@pytest.mark.parametrize(("precision", "least"), [("float32", 0.99999), ("float16", 0.9999), ("int4", 0.9)])
def test_language_graphs_without_lora(source, tmp_path, precision, least):
    """Streamed layer by layer; the last row has a padding and a past, and the graphs agree with each other."""
    config = source.language_config
    weights = WeightFiles(tmp_path)
    place_language(source, weights, precision)
    build_language(config, weights, precision, config.vocab_size, {}, tmp_path / "language.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "language.onnx")
    names = [output.name for output in session.get_outputs()]

    def read(rows: slice, ids: np.ndarray, lengths: list[int], past: np.ndarray, past_lengths: list[int]) -> dict:
        """Two choices of each row: one more than what is written without a guess."""
        inputs = {
            "input_ids": ids,
            "lengths": np.array(lengths),
            "visual_tokens": visual[rows],
            "past_kv": past,
            "past_lengths": np.array(past_lengths),
            "answer_starts": np.full(len(lengths), -1),
            "last": np.array(2),
        }
        return dict(zip(names, session.run(None, inputs), strict=True))

    ids = np.array([[1, 40, 404, 404, 60, 300, 350, 399], [1, 40, 404, 404, 17, 2, 0, 0]])
    visual = noise(2, 2, 64).numpy()
    nothing = np.zeros([2 * config.layers, 2, config.kv_heads, 0, config.head_dim], np.float32)
    got = read(slice(0, 2), ids, [8, 5], nothing, [0, 0])
    language = source.language()
    for row, length in enumerate((8, 5)):
        embeds = language.embed(torch.from_numpy(ids[row : row + 1, :length]))
        embeds[0, 2:4] = torch.from_numpy(visual[row])
        expected = language(embeds)[0][0, -1].numpy()
        hidden = got["hidden"][row, -1]
        cosine = hidden @ expected / np.linalg.norm(hidden) / np.linalg.norm(expected)
        assert cosine >= least
    new = np.stack([got["tokens"][:, -1], [40, 60]], axis=1)
    both = read(slice(0, 2), new, [2, 2], got["kv"], [8, 5])
    alone = read(slice(1, 2), new[1:], [2], got["kv"][:, 1:, :, :5], [5])
    assert both["tokens"][1].tolist() == alone["tokens"][0].tolist()
    close(both["hidden"][1], alone["hidden"][0], atol=1e-4)


def test_the_image_placeholder_is_never_chosen(source, tmp_path):
    """Its id lies behind the head's rows; the graphs have no logit for it."""
    assert source.language().logits(noise(1, 64)).shape[-1] == source.language_config.vocab_size
    assert lisa_facts(source, "tiny", "0.1.0").tokenizer.image == source.language_config.vocab_size


def test_four_bit_blocks_are_what_the_runtime_expands():
    weight = np.random.default_rng(0).standard_normal((96, 40)).astype(np.float32)
    weight[:32, 3] = 0.25  # a block without a spread
    blocks = to_matmul_blocks(weight, rows=16)
    levels = np.stack((blocks.packed & 15, blocks.packed >> 4), axis=-1).reshape(40, 3, 32)
    zero = np.stack((blocks.zero & 15, blocks.zero >> 4), axis=-1).reshape(40, -1)[:, :3]
    back = ((levels.astype(np.float32) - zero[..., None]) * blocks.scale[..., None]).reshape(40, 96).T
    assert np.abs(back - weight).max() <= 0.51 * blocks.scale.max() + 1e-6
    assert np.allclose(back[:32, 3], 0.25, atol=0.01)


def test_a_value_too_large_for_float16_is_refused():
    with pytest.raises(ValueError, match="float16"):
        to_float16(np.array([1.0, 7e4]), "layers.0")


def test_the_published_sizes_have_the_published_counts():
    """Built without memory: ViT-H with decoder 641,090,608 parameters, of which points and earlier masks need 5,964."""
    windows = tuple(0 if index % 8 == 7 else 14 for index in range(32))
    with torch.device("meta"):
        encoder = SamImageEncoder(SamEncoderConfig(1024, 16, 1280, 16, 5120, 256, windows))
        decoder = MaskDecoder(SamDecoderConfig(256, 64, 2, 2048, 4, 256))
        prompts = PromptEncoder(256, 64)
    count = sum(parameter.numel() for part in (encoder, decoder, prompts) for parameter in part.parameters())
    assert count + 5964 == 641_090_608
    shapes = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    assert SamEncoderConfig.from_shapes(shapes) == encoder.config
    shapes = {name: tuple(value.shape) for name, value in decoder.state_dict().items()}
    assert SamDecoderConfig.from_shapes(shapes, 64) == SamDecoderConfig(256, 64, 2, 2048, 4, 256)
