"""The operators of the table that no statistics are carried through, with the reason: the whole list, in one place.

Where one of them stands on the way of the signal its output is unknown, and `Propagation.unknown` names it.
"""

from __future__ import annotations

_BY_REASON: dict[str, str] = {
    "its result is a truth value, an index or a size: no signal goes on": """
        eq ne gt ge lt le logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor left_shift right_shift
        logical_not bitwise_not isnan isinf isfinite bit_shift isclose isin all any count_nonzero optional_has
        sequence_length unique multinomial histogram linalg_matrix_rank
    """,
    "it holds another graph, or a list of tensors": """
        if loop scan sequence_construct sequence_empty sequence_at sequence_insert sequence_erase split_to_sequence
        sequence_map optional pack_sequence pad_sequence
    """,
    "complex numbers and Fourier transforms mix all positions": """
        stft dft fft fft2 fftn ifft ifft2 ifftn rfft rfft2 rfftn irfft irfft2 irfftn fftshift ifftshift complex polar
        real_part imag_part angle
    """,
    "it depends on the spectrum of a matrix, not on its moments": """
        linalg_inv linalg_pinv linalg_cholesky linalg_qr linalg_svd linalg_svdvals linalg_eigh linalg_eigvalsh
        linalg_matrix_exp linalg_slogdet linalg_householder_product linalg_solve linalg_solve_triangular
        linalg_matrix_power linalg_lstsq det matrix_norm cov
    """,
    "it makes numbers from sizes alone": """
        mel_weight_matrix index_pairs hann_window hamming_window blackman_window affine_grid
    """,
    "it draws numbers that no weight scales": """
        normal poisson draw_exponential draw_random draw_log_normal draw_cauchy draw_geometric
    """,
    "it reads text or images": "string_normalizer tfidf image_decoder",
    "order statistics and products of many elements are not functions of two moments": """
        prod cumprod median quantile kthvalue mode aminmax cummax cummin logcumsumexp log_sum l1_norm lp_pool
        global_lp_pool hardmax gumbel_softmax
    """,
    "it has a pole or grows too fast for a Gaussian": "erfinv lgamma digamma i0",
    "a loss that compares with a target of unknown statistics": """
        l1_loss soft_margin_loss multilabel_margin_loss smooth_l1_loss huber_loss kl_div binary_cross_entropy ctc_loss
        hinge_embedding_loss poisson_nll_loss multi_margin_loss multilabel_soft_margin_loss gaussian_nll_loss
        margin_ranking_loss cosine_embedding_loss triplet_margin_loss triplet_margin_with_distance_loss
        linear_cross_entropy cosine_similarity pairwise_distance cdist pdist dist
    """,
    "arithmetic on stored integers: their moments are not those of the numbers": """
        quantized_matmul integer_matmul dynamic_quantize quantized_add quantized_mul quantized_globalaveragepool
        quantized_concat quantized_leakyrelu quantized_sigmoid
    """,
    "a rare product or rearrangement without a handler yet": """
        grouped_matmul dot tensordot chain_matmul embedding_bag native_multi_head_attention packed_attention
        linear_attention diag_embed cartesian_prod kron block_diag cross trace diff sum_to_size index_fill
        tensor_scatter renorm norm_except_dim deg2rad rad2deg
    """,
}
NOT_PROPAGATED: dict[str, str] = {name: reason for reason, names in _BY_REASON.items() for name in names.split()}
"""Operator to reason."""
