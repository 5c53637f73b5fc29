"""The names that LISA's checkpoints give their tensors, and where each of them goes.

One table for the published family: `LISA-7B-v1` and its 13B sibling (projector of one layer), and those built on LLaVA-1.5
(projector of two). Every name must be in it, and every tensor of a module must have one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

ENCODER, DECODER, PROMPT, PROJECTOR, SEG_HEAD, LANGUAGE, UNUSED = (
    "sam_encoder",
    "sam_mask_decoder",
    "sam_prompt_encoder",
    "projector",
    "text_hidden_fcs",
    "language",
    "unused",
)

TABLE: tuple[tuple[str, str, str], ...] = (
    # name in the checkpoint (a regular expression), part, name in the part's module
    (r"model\.visual_model\.image_encoder\.(.+)", ENCODER, r"\1"),
    (r"model\.visual_model\.mask_decoder\.(.+)", DECODER, r"\1"),
    (r"model\.visual_model\.prompt_encoder\.((?:pe_layer|no_mask_embed)\..+)", PROMPT, r"\1"),
    # Points, boxes and earlier masks: LISA's prompt is a text embedding only.
    (r"model\.visual_model\.prompt_encoder\.(?:point_embeddings|not_a_point_embed|mask_downscaling)\..+", UNUSED, ""),
    (r"model\.visual_model\.pixel_(?:mean|std)", UNUSED, ""),
    (r"model\.mm_projector\.(weight|bias)", PROJECTOR, r"0.\1"),
    (r"model\.mm_projector\.([02]\.(?:weight|bias))", PROJECTOR, r"\1"),
    (r"model\.text_hidden_fcs\.0\.([02]\.(?:weight|bias))", SEG_HEAD, r"\1"),
    (r"model\.(embed_tokens\.weight|norm\.weight)", LANGUAGE, r"\1"),
    (r"(lm_head\.weight)", LANGUAGE, r"\1"),
    (r"model\.(layers\.\d+\.(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj)\.weight)", LANGUAGE, r"\1"),
    (r"model\.(layers\.\d+\.(?:input|post_attention)_layernorm\.weight)", LANGUAGE, r"\1"),
    # A buffer that older versions of transformers saved; it follows from the configuration.
    (r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq", UNUSED, ""),
    # The frozen tower comes from CLIP's own checkpoint, as upstream.
    (r"model\.vision_tower\..+", UNUSED, ""),
)

CLIP_TABLE: tuple[tuple[str, str, str], ...] = (
    # LISA reads the tower below its last layer or two; which layers there are, the caller says.
    (r"vision_model\.(embeddings\.(?:class_embedding|patch_embedding\.weight|position_embedding\.weight))", "tower", r"\1"),
    (r"vision_model\.(pre_layrnorm\.(?:weight|bias))", "tower", r"\1"),
    (r"vision_model\.(encoder\.layers\.\d+\..+)", "tower", r"\1"),
    (r"vision_model\.(?:embeddings\.position_ids|post_layernorm\..+)", UNUSED, ""),
    (r"(?:text_model\..+|text_projection\.weight|visual_projection\.weight|logit_scale)", UNUSED, ""),
)


def sort_keys(names: Iterable[str], table: tuple[tuple[str, str, str], ...] = TABLE) -> dict[str, dict[str, str]]:
    """Names in a checkpoint -> for each part: name in the module -> name in the checkpoint.

    Raises ValueError naming keys that the table does not know.
    """
    parts: dict[str, dict[str, str]] = {part: {} for _, part, _ in table}
    unexpected = []
    for name in names:
        for pattern, part, target in table:
            if match := re.fullmatch(pattern, name):
                parts[part][name if part == UNUSED else match.expand(target)] = name
                break
        else:
            unexpected.append(name)
    if unexpected:
        raise ValueError(f"The checkpoint holds tensors that are not LISA's: {_some(unexpected)}")
    return parts


def check_complete(part: str, wanted: Iterable[str], found: Mapping[str, str]) -> None:
    """Raises ValueError naming what a module needs and the checkpoint lacks, or has too much."""
    wanted = set(wanted)
    if missing := wanted - found.keys():
        raise ValueError(f"The checkpoint lacks tensors of {part}: {_some(missing)}")
    if surplus := found.keys() - wanted:
        raise ValueError(f"The checkpoint holds tensors that {part} has no place for: {_some(surplus)}")


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:5]) + (f" and {len(ordered) - 5} more" if len(ordered) > 5 else "")
