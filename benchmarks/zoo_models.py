"""The stock models of `zoo.py`."""

from __future__ import annotations

from typing import Any

VISION: dict[str, tuple[int, str]] = {
    "alexnet": (64, ""),
    "vgg11": (32, ""),
    "vgg11_bn": (32, ""),
    "resnet18": (64, ""),
    "resnet50": (64, ""),
    "resnext50_32x4d": (64, ""),
    "wide_resnet50_2": (64, ""),
    "densenet121": (64, ""),
    "googlenet": (96, "auxiliary heads"),
    "inception_v3": (128, "auxiliary head, truncated draws"),
    "squeezenet1_1": (64, "a head of small draws behind a ReLU"),
    "shufflenet_v2_x0_5": (64, "depthwise"),
    "mobilenet_v2": (64, "depthwise"),
    "mobilenet_v3_small": (64, "squeeze-and-excite gates, depthwise"),
    "mnasnet0_5": (64, "depthwise"),
    "efficientnet_b0": (64, "squeeze-and-excite gates, stochastic depth"),
    "efficientnet_v2_s": (64, "squeeze-and-excite gates, stochastic depth"),
    "regnet_y_400mf": (64, "squeeze-and-excite gates"),
    "convnext_tiny": (64, "LayerScale 1e-6"),
    "vit_b_32": (224, "zero head"),
    "swin_t": (64, ""),
    "swin_v2_t": (64, "logit scales, zero norm shifts behind branches"),
    "deeplabv3_mobilenet_v3_large": (64, "two heads"),
}
"""torchvision's models: edge of the image, what is hard about it."""

TIMM: dict[str, tuple[int, str, dict[str, Any]]] = {
    "resnet18": (64, "zero gamma at each branch's end", {}),
    "resnet26t": (64, "zero gamma at each branch's end", {}),
    "seresnet18": (64, "squeeze-and-excite gates", {}),
    "resnet10t": (64, "zero gamma at each branch's end", {}),
    "resnetv2_50": (64, "pre-activation", {}),
    "nf_resnet26": (64, "no norm, standardised weights", {}),
    "nf_regnet_b0": (64, "no norm, standardised weights, gates", {}),
    "dm_nfnet_f0": (64, "no norm, zero SkipInit gains", {}),
    "eca_nfnet_l0": (64, "no norm, zero SkipInit gains", {}),
    "convnext_atto": (64, "LayerScale 1e-6", {}),
    "convnextv2_atto": (64, "global response norm at zero", {}),
    "mixer_s32_224": (64, "zero head", {"img_size": 64}),
    "gmlp_s16_224": (64, "gates at almost zero", {"img_size": 64}),
    "resmlp_12_224": (64, "LayerScale", {"img_size": 64}),
    "levit_128s": (64, "zero gammas throughout", {"img_size": 64}),
    "vit_tiny_patch16_224": (64, "", {"img_size": 64}),
    "vit_tiny_r_s16_p8_224": (64, "convolutional stem", {"img_size": 64}),
    "deit_tiny_distilled_patch16_224": (64, "two heads", {"img_size": 64}),
    "deit3_small_patch16_224": (64, "LayerScale 1e-6", {"img_size": 64, "depth": 6}),
    "cait_xxs24_224": (64, "LayerScale 1e-5, talking heads", {"img_size": 64, "depth": 6}),
    "beit_base_patch16_224": (64, "LayerScale .1, relative positions", {"img_size": 64, "depth": 3}),
    "eva02_tiny_patch14_224": (56, "gated MLP, rotary positions", {"img_size": 56, "depth": 6}),
    "xcit_nano_12_p16_224": (64, "LayerScale 1, cross-covariance", {}),
    "swin_tiny_patch4_window7_224": (64, "", {"img_size": 64}),
    "swinv2_cr_tiny_224": (64, "norm behind branches", {"img_size": 64}),
    "coat_lite_tiny": (64, "", {"img_size": 64}),
    "crossvit_9_240": (240, "two branches of tokens", {}),
    "poolformer_s12": (64, "LayerScale 1e-5", {}),
    "pvt_v2_b0": (64, "", {}),
    "maxvit_rmlp_pico_rw_256": (64, "relative positions by an MLP", {"img_size": 64}),
    "mobilevit_xxs": (64, "", {}),
    "edgenext_xx_small": (64, "LayerScale 1e-6", {}),
    "efficientnet_lite0": (64, "depthwise", {}),
    "ghostnet_100": (64, "depthwise, gates", {}),
    "repvgg_a0": (64, "three parallel branches", {}),
    "dla34": (64, "", {}),
    "hrnet_w18_small": (64, "four resolutions", {}),
    "volo_d1_224": (224, "outlook attention, auxiliary head", {}),
}
"""timm's models: edge of the image, what is hard about it, keywords."""

_BLOCKS = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 128}
_TEXT = {"vocab_size": 256, **_BLOCKS}
_PATCHES = {**_BLOCKS, "image_size": 32, "patch_size": 8}
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT2LMHeadModel": (
        "tied head, weights stored transposed",
        {"vocab_size": 256, "n_embd": 64, "n_layer": 6, "n_head": 4, "n_positions": 64},
    ),
    "BertForMaskedLM": ("tied head, post-norm", {**_TEXT, "max_position_embeddings": 64}),
    "RobertaForMaskedLM": ("tied head, post-norm, padding row", {**_TEXT, "max_position_embeddings": 66}),
    "DistilBertForMaskedLM": (
        "tied head, post-norm",
        {"vocab_size": 256, "dim": 64, "n_layers": 4, "n_heads": 4, "hidden_dim": 128, "max_position_embeddings": 64},
    ),
    "AlbertForMaskedLM": ("one layer used four times", {**_TEXT, "embedding_size": 32, "max_position_embeddings": 64}),
    "ElectraForPreTraining": ("", {**_TEXT, "embedding_size": 32, "max_position_embeddings": 64}),
    "LlamaForCausalLM": ("gated MLP", {**_TEXT, "max_position_embeddings": 64}),
    "MistralForCausalLM": (
        "gated MLP, grouped queries",
        {**_TEXT, "num_key_value_heads": 2, "max_position_embeddings": 64},
    ),
    "Qwen2ForCausalLM": ("gated MLP", {**_TEXT, "num_key_value_heads": 2, "max_position_embeddings": 64}),
    "GemmaForCausalLM": (
        "norm scales stored less one, scaled embeddings",
        {**_TEXT, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 64},
    ),
    "OPTForCausalLM": (
        "tied head",
        {
            "vocab_size": 256,
            "hidden_size": 64,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "ffn_dim": 128,
            "word_embed_proj_dim": 64,
            "max_position_embeddings": 64,
        },
    ),
    "BloomForCausalLM": ("tied head, alibi", {"vocab_size": 256, "hidden_size": 64, "n_layer": 4, "n_head": 4}),
    "GPTNeoXForCausalLM": ("parallel branches", {**_TEXT, "max_position_embeddings": 64}),
    "MambaForCausalLM": (
        "state space, parameters drawn by recipe",
        {"vocab_size": 256, "hidden_size": 64, "num_hidden_layers": 4},
    ),
    "T5ForConditionalGeneration": (
        "scales by fan, no attention scaling, tied head",
        {"vocab_size": 256, "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 3, "num_heads": 4},
    ),
    "BartForConditionalGeneration": (
        "tied head, post-norm",
        {
            "vocab_size": 256,
            "d_model": 64,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 128,
            "decoder_ffn_dim": 128,
            "max_position_embeddings": 64,
        },
    ),
    "SwitchTransformersForConditionalGeneration": (
        "sparse experts",
        {
            "vocab_size": 256,
            "d_model": 64,
            "d_kv": 16,
            "d_ff": 128,
            "num_layers": 2,
            "num_sparse_encoder_layers": 1,
            "num_decoder_layers": 2,
            "num_sparse_decoder_layers": 1,
            "num_heads": 4,
            "num_experts": 4,
        },
    ),
    "MixtralForCausalLM": (
        "sparse experts",
        {**_TEXT, "num_key_value_heads": 2, "num_local_experts": 4, "max_position_embeddings": 64},
    ),
    "Qwen2MoeForCausalLM": (
        "sparse experts, shared expert",
        {
            **_TEXT,
            "num_key_value_heads": 2,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 64,
            "shared_expert_intermediate_size": 64,
            "max_position_embeddings": 64,
        },
    ),
    "ViTForImageClassification": ("", _PATCHES),
    "Swinv2ForImageClassification": (
        "norm behind branches, logit scales",
        {"image_size": 32, "patch_size": 2, "embed_dim": 32, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4},
    ),
    "ConvNextForImageClassification": (
        "LayerScale 1e-6",
        {"hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 2, 1], "image_size": 64},
    ),
    "ResNetForImageClassification": (
        "",
        {"embedding_size": 32, "hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 1, 1], "layer_type": "basic"},
    ),
    "BeitForImageClassification": ("LayerScale .1", _PATCHES),
    "Wav2Vec2ForCTC": (
        "weight-normed positions, group norm on raw audio",
        {
            "hidden_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 128,
            "vocab_size": 32,
            "conv_dim": [64] * 7,
        },
    ),
}
"""transformers' models: what is hard about it, configuration."""
