"""Attention as one operator, and rotary position embedding."""

from __future__ import annotations

from initadvisor.ops.registry import register
from initadvisor.ops.weighted import linear_layout, right_matrix_layout

register(
    "scaled_dot_product_attention",
    "attention",
    "query key value attn_mask past_key past_value",
    torch={
        f"{prefix}scaled_dot_product_attention": "query key value attn_mask dropout_p is_causal scale enable_gqa"
        for prefix in ("torch.nn.functional.", "torch._C._nn.")
    },
    onnx={"Attention": {}},
    onnx_inputs={"Attention": "query key value attn_mask past_key past_value lengths"},
)
register(
    "multi_head_attention",
    "attention",
    "query key value in_proj_weight in_proj_bias bias_k bias_v out_proj_weight out_proj_bias key_padding_mask "
    "attn_mask q_proj_weight k_proj_weight v_proj_weight static_k static_v",
    layouts=dict.fromkeys(
        ("in_proj_weight", "out_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"), linear_layout
    ),
    torch={
        "torch.nn.functional.multi_head_attention_forward": "query key value embed_dim_to_check num_heads "
        "in_proj_weight in_proj_bias bias_k bias_v add_zero_attn dropout_p out_proj_weight out_proj_bias training "
        "key_padding_mask need_weights attn_mask use_separate_proj_weight q_proj_weight k_proj_weight v_proj_weight "
        "static_k static_v average_attn_weights is_causal",
    },
)
register(
    "native_multi_head_attention",
    "attention",
    "query key value in_proj_weight in_proj_bias out_proj_weight out_proj_bias mask",
    layouts={"in_proj_weight": linear_layout, "out_proj_weight": linear_layout},
    torch={
        "torch._native_multi_head_attention": "query key value embed_dim num_head in_proj_weight in_proj_bias "
        "out_proj_weight out_proj_bias mask need_weights average_attn_weights mask_type"
    },
)
register(
    "packed_attention",
    "attention",
    "input weight bias mask_index past attention_bias",
    layouts={"weight": right_matrix_layout},
    onnx={"com.microsoft::Attention": {}},
)
register(
    "fused_attention",
    "attention",
    "query key value bias key_padding_mask attention_bias past_key past_value",
    onnx={"com.microsoft::MultiHeadAttention": {}},
)
register(
    "grouped_query_attention",
    "attention",
    "query key value past_key past_value seqlens_k total_sequence_length cos_cache sin_cache",
    onnx={"com.microsoft::GroupQueryAttention": {}},
)
register(
    "linear_attention",
    "attention",
    "query key value past_state decay beta",
    onnx={"LinearAttention": {}},
)
register(
    "rotary_embedding",
    "attention",
    "input cos_cache sin_cache position_ids",
    onnx={"RotaryEmbedding": {}},
)
register(
    "microsoft_rotary_embedding",
    "attention",
    "input position_ids cos_cache sin_cache",
    onnx={"com.microsoft::RotaryEmbedding": {}},
)
